// The four perfusion parameters, their names, units and the paper's ranges.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace perfpipe {

enum class Parameter : int { cbf = 0, cbv = 1, mtt = 2, tmax = 3 };

inline constexpr std::array<Parameter, 4> all_parameters{Parameter::cbf, Parameter::cbv, Parameter::mtt,
                                                         Parameter::tmax};

struct ParameterFacts {
  std::string_view name;       ///< key in files and job files
  std::string_view label;      ///< as printed
  std::string_view units;      ///< of maps inside and outside the program
  std::string_view long_name;  ///< with its OSIPI CAPLEX code where there is one
  double paper_maximum;        ///< targets are saturated to [0, this] (paper, section V.A)
  double reported_maximum;  ///< denominator of the paper's percentage (Tmax: 69 s there would give 1.93 %; see METHODS)
  double paper_armse;       ///< ARMSE that the paper reports
};

/// Facts of section V of the paper; units CAPLEX Q.PH1.003 (CBF), Q.PH1.001 (CBV), Q.PH1.006 (MTT).
inline constexpr std::array<ParameterFacts, 4> parameter_facts{{
    {"cbf", "CBF", "ml/100g/min", "cerebral blood flow", 1600.0, 1600.0, 27.4},
    {"cbv", "CBV", "ml/100g", "cerebral blood volume", 201.0, 201.0, 4.80},
    {"mtt", "MTT", "s", "mean transit time", 25.0, 25.0, 1.18},
    {"tmax", "Tmax", "s", "time to maximum of the residue function", 11.0, 69.0, 1.33},
}};

constexpr std::size_t index(Parameter p) { return static_cast<std::size_t>(p); }
constexpr const ParameterFacts& facts(Parameter p) { return parameter_facts[index(p)]; }
constexpr std::string_view name(Parameter p) { return facts(p).name; }

/// One number for each parameter, indexed by `index(parameter)`.
using PerParameter = std::array<double, 4>;

}  // namespace perfpipe
