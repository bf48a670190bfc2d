#include "core/cuda_library.hpp"

#include "core/error.hpp"

#include <dlfcn.h>
#include <filesystem>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

constexpr const char* library_name = "libperfpipe_cuda.so";

struct Opened {
  void* handle = nullptr;
  std::string problem;
};

/// Beside the executable; for tests and benches beside the executable that was built, or packed, with them.
const Opened& opened() {
  static const Opened library = []() -> Opened {
    std::error_code error;
    const auto folder = fs::read_symlink("/proc/self/exe", error).parent_path();
    const auto above = folder.parent_path();
    for (const auto& file :
         {folder / library_name, above / "pipeline" / library_name, above / "libexec" / library_name}) {
      if (!fs::exists(file, error)) continue;
      void* const handle = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
      if (handle != nullptr) return {handle, ""};
      return {nullptr, file.string() + " cannot be opened: " + ::dlerror()};
    }
    return {nullptr, std::string("this build has no GPU code (") + library_name +
                         " is not beside the executable); tools/quickstart --cuda builds it"};
  }();
  return library;
}

}  // namespace

const std::string& cuda_library_problem() { return opened().problem; }

void* cuda_library_entry(const char* name) {
  if (opened().handle == nullptr) throw DeviceError(opened().problem);
  void* const entry = ::dlsym(opened().handle, name);
  if (entry == nullptr)
    throw DeviceError(std::string(library_name) + " has no '" + name + "': build it and the executable together");
  return entry;
}

}  // namespace perfpipe
