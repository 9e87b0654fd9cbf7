# Mixed models of several families by glmmTMB, y ~ x + (1 | g), on families.csv (families.py
# makes it); and of grouseticks by glmmTMB. Writes families.json.
#   Rscript families.R
suppressPackageStartupMessages({library(glmmTMB); library(jsonlite)})
data <- read.csv("families.csv")
data$g <- factor(data$g)
fits <- list(
  poisson = list(family = poisson()),
  nb = list(family = nbinom2()),
  zip = list(family = poisson(), ziformula = ~1),
  hurdle = list(family = truncated_poisson(), ziformula = ~1),
  gamma = list(family = Gamma("log")),
  beta = list(family = beta_family()),
  gaussian = list(family = gaussian()),
  binomial = list(family = binomial()),
  betabinomial = list(family = betabinomial())
)
told <- function(fit) list(
  logLik = as.numeric(logLik(fit)),
  converged = fit$fit$convergence == 0,
  fixed = as.list(fixef(fit)$cond),
  se = as.list(sqrt(diag(vcov(fit)$cond))),
  zero = if (length(fixef(fit)$zi)) plogis(fixef(fit)$zi[[1]]) else NULL,
  dispersion = sigma(fit),
  sd = sapply(VarCorr(fit)$cond, function(v) attr(v, "stddev")[[1]])
)
result <- list()
for (name in names(fits)) {
  left <- if (name %in% c("binomial", "betabinomial")) paste0("cbind(", name, ", trials - ", name, ")") else name
  formula <- as.formula(paste(left, "~ x + (1 | g)"))
  result[[name]] <- told(do.call(glmmTMB, c(list(formula, data = data), fits[[name]])))
}
data(grouseticks, package = "lme4")
ticks <- TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)
result$grouseticks <- told(glmmTMB(ticks, grouseticks, poisson()))
result$versions <- list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB")))
write(toJSON(result, auto_unbox = TRUE, digits = 10, pretty = TRUE), "families.json")
