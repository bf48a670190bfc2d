#include "stages/phantom_ct.hpp"

#include <cmath>

namespace perfpipe {

double ct_around_the_brain(double radius, double angle, double w, double y) {
  constexpr double muscle = 55.0, bone = 900.0, fat = -90.0, air = -1000.0, table = 40.0;
  if (radius <= 1.02) return ct_csf;
  if (radius <= 1.12) return w < 0.0 && std::abs(std::abs(angle - 1.57) - 0.9) < 0.04 ? muscle : bone;
  if (radius <= 1.16) return muscle;
  if (radius <= 1.21) return fat;
  return y > 0.94 && y < 0.98 ? table : air;
}

}  // namespace perfpipe
