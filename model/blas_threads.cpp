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

void use_no_blas_threads() {
  use_blas_threads(1);
  if (const auto end = openblas<int (*)()>("blas_thread_shutdown_")) end();
}

int blas_threads() {
  const auto get = openblas<int (*)()>("openblas_get_num_threads");
  return get ? get() : 1;
}

std::string blas_description() {
  const auto config = openblas<const char* (*)()>("openblas_get_config");
  const auto core = openblas<const char* (*)()>("openblas_get_corename");
  if (config == nullptr || core == nullptr) return "";
  // "OpenBLAS 0.3.21 NO_AFFINITY USE64BITINT ...": of that the first two words.
  const std::string words = config();
  return words.substr(0, words.find(' ', words.find(' ') + 1)) + ", kernels for " + core();
}

}  // namespace perfpipe
