// Units of maps that other software wrote.
#pragma once

#include "core/parameters.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// The units in which a map may come, ours first: "ml/100g/min", "ml/100ml/min".
std::vector<std::string> target_units(Parameter p);

/// What a map in these units is multiplied by to be in ours; nothing for units that are not known. Case and spaces do
/// not matter ("mL/100 g/min"), nor does the order behind the first slash ("ml/min/100g"). 100 ml of tissue weigh 100 ρ
/// g, ρ the density (CAPLEX Q.PH1.011) in g/ml.
std::optional<double> target_factor(Parameter p, const std::string& units, double density);

/// Whether exactly one of CBF, CBV and MTT is missing (empty): maps or their files, by parameter index.
template <class Maps>
bool one_follows_from_others(const Maps& maps) {
  return maps[index(Parameter::cbf)].empty() + maps[index(Parameter::cbv)].empty() +
             maps[index(Parameter::mtt)].empty() ==
         1;
}

/// The one of CBF, CBV and MTT that is missing (empty), from the other two, by the central volume theorem: CBV = CBF
/// MTT / 60 in our units; 0 where the divisor is not above 0. Nothing is done unless one_follows_from_others(). Returns
/// which.
std::optional<Parameter> fill_by_central_volume(std::array<std::vector<float>, 4>& maps);

}  // namespace perfpipe
