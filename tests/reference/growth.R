# Occasions within persons: simulated responses (growth.csv), and lme4's random intercept and slope
# model of them by Laplace's approximation. Run in this folder: Rscript growth.R
suppressPackageStartupMessages({library(lme4); library(jsonlite)})

RNGversion("4.2.0")
set.seed(2009)
persons <- 200
occasions <- 8
id <- rep(seq_len(persons), each = occasions)
time <- rep(seq_len(occasions) - 1, persons) / 2
mean_stress <- rnorm(persons)
stress <- round(mean_stress[id] + rnorm(persons * occasions), 3)
intercept <- rnorm(persons, 0, 1.2)
slope <- -0.2 * intercept + rnorm(persons, 0, 0.5)
eta <- -0.5 + intercept[id] + (0.4 + slope[id]) * time + 0.9 * mean_stress[id] +
  0.3 * (stress - mean_stress[id])
y <- rbinom(length(eta), 1, plogis(eta))
data <- data.frame(id, time, stress, y)
write.csv(data, "growth.csv", row.names = FALSE, quote = FALSE)

data$stress_between <- ave(data$stress, data$id)
data$stress_within <- data$stress - data$stress_between
tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 1e-2, rhoend = 1e-10,
  maxfun = 1e5))
fit <- glmer(y ~ time + stress_within + stress_between + (1 + time | id), data, binomial,
  control = tight)
result <- list(
  logLik = as.numeric(logLik(fit)), fixef = as.list(fixef(fit)),
  se = as.list(sqrt(diag(as.matrix(vcov(fit))))),
  sd = attr(VarCorr(fit)$id, "stddev"), correlation = attr(VarCorr(fit)$id, "correlation")[2, 1],
  versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")))
)
write(toJSON(result, auto_unbox = TRUE, digits = 10, pretty = TRUE), "growth.json")
