#include "model/blas_threads.hpp"

#include <dlfcn.h>

namespace perfpipe {
namespace {

// OpenBLAS is found at run time: which BLAS is loaded belongs to the machine.
template <class Function>
Function openblas(const char* symbol) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, symbol));
}

}  // namespace

void use_blas_threads(int count) {
  if (const auto set = openblas<void (*)(int)>("openblas_set_num_threads")) set(count);
}

int blas_threads() {
  const auto get = openblas<int (*)()>("openblas_get_num_threads");
  return get ? get() : 1;
}

}  // namespace perfpipe
