#include "model/torch_threads.hpp"

#include "model/blas_threads.hpp"

#include <stdexcept>
#include <string>

#include <ATen/Parallel.h>

namespace perfpipe {

void use_threads(int count) {
  if (count < 1)
    throw std::invalid_argument("use_threads: " + std::to_string(count) + " threads; at least 1 is needed");
  at::set_num_threads(count);
  use_blas_threads(count);
}

void use_one_thread() {
  if (at::get_num_threads() != 1 || blas_threads() != 1) use_threads(1);
}

}  // namespace perfpipe
