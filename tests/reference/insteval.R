# Crossed ordinal model of the lectures of one department, by ordinal::clmm (Laplace). Writes
# insteval.json.
#   Rscript insteval.R
suppressPackageStartupMessages({library(ordinal); library(jsonlite)})
data <- read.csv(gzfile("../../datasets/insteval.csv.gz"))
data <- data[data$dept == 10, ]
for (name in c("s", "d", "studage", "lectage", "service")) data[[name]] <- factor(data[[name]])
data$y <- factor(data$y, ordered = TRUE)
start <- proc.time()[[3]]
fit <- clmm(y ~ service + lectage + studage + (1 | s) + (1 | d), data = data,
            control = clmm.control(gradTol = 1e-6))
result <- list(
  R = R.version.string,
  ordinal = as.character(packageVersion("ordinal")),
  n = nrow(data), students = nlevels(data$s), lecturers = nlevels(data$d),
  seconds = proc.time()[[3]] - start,
  logLik = as.numeric(logLik(fit)),
  thresholds = as.list(fit$alpha),
  fixed = as.list(fit$beta),
  se = as.list(sqrt(diag(vcov(fit)))[names(c(fit$alpha, fit$beta))]),
  sd = lapply(VarCorr(fit), function(v) attr(v, "stddev")[[1]])
)
write_json(result, "insteval.json", pretty = TRUE, auto_unbox = TRUE, digits = NA)
