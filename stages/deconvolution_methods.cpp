#include "stages/deconvolution_methods.hpp"

#include "core/error.hpp"
#include "stages/deconvolution_bayes.hpp"
#include "stages/deconvolution_dsvd.hpp"
#include "stages/deconvolution_gamma.hpp"
#include "stages/deconvolution_gp.hpp"
#include "stages/deconvolution_linear.hpp"
#include "stages/deconvolution_osvd.hpp"
#include "stages/deconvolution_tikhonov.hpp"

#include <functional>

namespace perfpipe {
namespace {

using Maker = std::unique_ptr<Deconvolution> (*)(const DeconvolutionOptions&, std::span<const float>, double);

std::int64_t circulant_length(const DeconvolutionOptions& o, std::span<const float> aif) {
  return (o.length == "N" ? 1 : 2) * static_cast<std::int64_t>(aif.size());
}

std::unique_ptr<Deconvolution> make_tikhonov(const DeconvolutionOptions& o, std::span<const float> aif, double dt) {
  const auto system =
      o.form == "circulant" ? circulant_system(aif, dt, circulant_length(o, aif)) : toeplitz_system(aif, dt);
  if (o.regularisation == "lcurve") return std::make_unique<LCurveTikhonov>(system);
  return std::make_unique<LinearDeconvolution>(system, tikhonov_gains(system, o.threshold * system.values.front()));
}

struct Method {
  const char* name;
  double threshold;
  bool dense;
  Maker make;
};

const Method methods[] = {
    {"bsvd", 0.1, false,
     [](const DeconvolutionOptions& o, std::span<const float> aif, double dt) -> std::unique_ptr<Deconvolution> {
       return std::make_unique<LinearDeconvolution>(bsvd(aif, dt, o.threshold));
     }},
    {"ssvd", 0.2, true,
     [](const DeconvolutionOptions& o, std::span<const float> aif, double dt) -> std::unique_ptr<Deconvolution> {
       return std::make_unique<LinearDeconvolution>(ssvd(aif, dt, o.threshold));
     }},
    {"dsvd", 0.2, true,
     [](const DeconvolutionOptions& o, std::span<const float> aif, double dt) -> std::unique_ptr<Deconvolution> {
       return std::make_unique<DelayCorrectedSvd>(aif, dt, o.threshold, o.delay_low, o.delay_high);
     }},
    {"osvd", 0.01, false,
     [](const DeconvolutionOptions& o, std::span<const float> aif, double dt) -> std::unique_ptr<Deconvolution> {
       return std::make_unique<OscillationSvd>(circulant_system(aif, dt, circulant_length(o, aif)), o.threshold,
                                               o.oscillation);
     }},
    {"tikhonov", 0.1, true, make_tikhonov},
    {"gp", 0.0, true,
     [](const DeconvolutionOptions&, std::span<const float> aif, double dt) -> std::unique_ptr<Deconvolution> {
       return std::make_unique<GaussianProcess>(aif, dt);
     }},
    {"bayes", 0.0, true,
     [](const DeconvolutionOptions& o, std::span<const float> aif, double dt) -> std::unique_ptr<Deconvolution> {
       return std::make_unique<BayesianDeconvolution>(aif, dt, o.delay_low, o.delay_high);
     }},
    {"gamma_variate", 0.1, false,
     [](const DeconvolutionOptions& o, std::span<const float> aif, double dt) -> std::unique_ptr<Deconvolution> {
       return std::make_unique<GammaVariateDeconvolution>(aif, dt, o.threshold);
     }},
};

const Method* find_method(const std::string& name) {
  for (const auto& method : methods)
    if (name == method.name) return &method;
  return nullptr;
}

}  // namespace

std::vector<std::string> deconvolution_methods() {
  std::vector<std::string> names;
  for (const auto& method : methods) names.emplace_back(method.name);
  return names;
}

double default_threshold(const std::string& method) {
  const Method* const found = find_method(method);
  return found != nullptr ? found->threshold : 0.0;
}

std::unique_ptr<Deconvolution> make_deconvolution(const DeconvolutionOptions& options, std::span<const float> aif,
                                                  double dt) {
  const Method* const method = find_method(options.method);
  if (method == nullptr) throw ConfigError("bsvd_targets.method = " + options.method + ": no such deconvolution");
  if (method->dense && aif.size() > most_dense_samples)
    throw InputError("bsvd_targets.method = " + options.method + " works on dense matrices of at most " +
                     std::to_string(most_dense_samples) + " samples, and the curves have " +
                     std::to_string(aif.size()) + "; lower interpolation.samples, or take bsvd or osvd");
  DeconvolutionOptions resolved = options;
  if (resolved.threshold == 0.0) resolved.threshold = method->threshold;
  const auto arterial = options.smooth_aif ? smoothed(aif) : std::vector<float>(aif.begin(), aif.end());
  return method->make(resolved, arterial, dt);
}

std::vector<ExtraMap> extra_maps(const DeconvolutionOptions& o) {
  if (o.method == "dsvd") return DelayCorrectedSvd::extra_maps();
  if (o.method == "osvd") return OscillationSvd::extra_maps();
  if (o.method == "tikhonov" && o.regularisation == "lcurve") return LCurveTikhonov::extra_maps();
  if (o.method == "gp") return GaussianProcess::extra_maps();
  if (o.method == "bayes") return BayesianDeconvolution::extra_maps();
  if (o.method == "gamma_variate") return GammaVariateDeconvolution::extra_maps();
  return {};
}

}  // namespace perfpipe
