// What is asked of every curve of a series, in vectors.
#pragma once

#include <span>

namespace perfpipe {

/// sum[i] += values[i] for each element of `sum`.
void add_to(std::span<double> sum, std::span<const float> values);

/// The largest magnitude among the values; infinity if one is not finite.
double largest_magnitude(std::span<const float> values);

bool all_finite(std::span<const float> values);

}  // namespace perfpipe
