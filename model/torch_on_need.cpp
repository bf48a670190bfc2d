// Opens the part of model/ that needs LibTorch, and hands calls on to it.
#include "core/error.hpp"
#include "model/torch_library.hpp"

#include <dlfcn.h>
#include <filesystem>

namespace perfpipe {
namespace {

/// Beside the executable, or where it was built.
const TorchLibrary& torch_library() {
  static const TorchLibrary& library = []() -> const TorchLibrary& {
    std::error_code error;
    const auto executable = std::filesystem::read_symlink("/proc/self/exe", error);
    const auto beside = executable.parent_path() / PERFPIPE_TORCH_LIBRARY_NAME;
    const std::string file =
        !error && std::filesystem::exists(beside, error) ? beside.string() : PERFPIPE_TORCH_LIBRARY_FILE;
    // Global: what LibTorch and we need of OpenBLAS must be one and the same, as if all had been linked together.
    void* const opened = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_GLOBAL);
    if (opened == nullptr)
      throw Error(ExitCode::device, file + ": cannot be opened: " + ::dlerror() +
                                        "; it belongs beside the executable, and needs LibTorch (tools/setup)");
    using Entry = const TorchLibrary* (*)();
    const auto entry = reinterpret_cast<Entry>(::dlsym(opened, torch_library_symbol));
    if (entry == nullptr) throw Error(ExitCode::device, file + ": is not this program's library: build both together");
    return *entry();
  }();
  return library;
}

}  // namespace

std::string torch_library_version() { return PERFPIPE_TORCH_VERSION; }

ReferenceEngine::ReferenceEngine(const WeightFile& weights, const std::string& source)
    : network_(torch_library().reference_network(weights, source)) {}
ReferenceEngine::~ReferenceEngine() = default;
ReferenceEngine::ReferenceEngine(ReferenceEngine&&) noexcept = default;
ReferenceEngine& ReferenceEngine::operator=(ReferenceEngine&&) noexcept = default;

const WeightFacts& ReferenceEngine::facts() const { return network_->facts(); }

std::vector<float> ReferenceEngine::estimate(std::span<const float> curves, std::span<const std::int32_t> neighbours,
                                             std::span<const float> aif) const {
  return network_->estimate(curves, neighbours, aif);
}

}  // namespace perfpipe
