#include "stages/target_units.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace perfpipe {
namespace {

/// "mL / min / 100 g" and "ml/100g/min" become the same.
std::string canonical(const std::string& units) {
  std::string plain;
  for (const char c : units)
    if (!std::isspace(static_cast<unsigned char>(c)))
      plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::istringstream stream(plain);
  std::vector<std::string> parts;
  for (std::string part; std::getline(stream, part, '/');) parts.push_back(part);
  if (parts.size() > 1) std::sort(parts.begin() + 1, parts.end());
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : "/") + part;
  return text;
}

}  // namespace

std::vector<std::string> target_units(Parameter p) {
  switch (p) {
    case Parameter::cbf:
      return {"ml/100g/min", "ml/100ml/min"};
    case Parameter::cbv:
      return {"ml/100g", "ml/100ml"};
    case Parameter::mtt:
    case Parameter::tmax:
      return {"s", "ms"};
  }
  return {};
}

std::optional<double> target_factor(Parameter p, const std::string& units, double density) {
  const auto known = target_units(p);
  const std::string given = canonical(units);
  if (given == canonical(known[0])) return 1.0;
  if (given != canonical(known[1])) return std::nullopt;
  return p == Parameter::cbf || p == Parameter::cbv ? 1.0 / density : 1e-3;
}

std::optional<Parameter> fill_by_central_volume(std::array<std::vector<float>, 4>& maps) {
  auto& cbf = maps[index(Parameter::cbf)];
  auto& cbv = maps[index(Parameter::cbv)];
  auto& mtt = maps[index(Parameter::mtt)];
  if (!one_follows_from_others(maps)) return std::nullopt;
  const auto ratio = [](float above, float below) { return below > 0.0f ? 60.0f * above / below : 0.0f; };
  const auto fill = [](const std::vector<float>& a, const std::vector<float>& b, const auto& f) {
    std::vector<float> map(a.size());
    std::transform(a.begin(), a.end(), b.begin(), map.begin(), f);
    return map;
  };
  if (cbf.empty()) {
    cbf = fill(cbv, mtt, ratio);
    return Parameter::cbf;
  }
  if (mtt.empty()) {
    mtt = fill(cbv, cbf, ratio);
    return Parameter::mtt;
  }
  cbv = fill(cbf, mtt, [](float flow, float time) { return flow * time / 60.0f; });
  return Parameter::cbv;
}

}  // namespace perfpipe
