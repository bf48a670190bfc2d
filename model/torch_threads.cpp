#include "model/threads.hpp"

#include <dlfcn.h>
#include <stdexcept>
#include <string>

#include <ATen/Parallel.h>

namespace perfpipe {
namespace {

// OpenBLAS is found at run time: torch links some libblas, and which one that is belongs to the machine.
template <class Function>
Function openblas(const char* symbol) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, symbol));
}

}  // namespace

void use_threads(int count) {
  if (count < 1)
    throw std::invalid_argument("use_threads: " + std::to_string(count) + " threads; at least 1 is needed");
  at::set_num_threads(count);
  if (const auto set = openblas<void (*)(int)>("openblas_set_num_threads")) set(count);
}

void use_one_thread() {
  const auto blas_threads = openblas<int (*)()>("openblas_get_num_threads");
  if (at::get_num_threads() != 1 || (blas_threads && blas_threads() != 1)) use_threads(1);
}

}  // namespace perfpipe
