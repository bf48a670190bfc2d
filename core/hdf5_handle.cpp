#include "core/hdf5_handle.hpp"

#include "core/version.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace perfpipe {

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

namespace fs = std::filesystem;
namespace {

/// HDF5 tells of a failed system call its time, buffer and more; a person needs what failed and why.
std::string without_details(const std::string& description) {
  constexpr std::string_view reason_key = "error message = '";
  const auto details = description.find(": time = "), reason = description.find(reason_key);
  if (details == std::string::npos || reason == std::string::npos) return description;
  const auto begin = reason + reason_key.size();
  return description.substr(0, details) + ": " + description.substr(begin, description.find('\'', begin) - begin);
}

}  // namespace

std::string hdf5_error_text() {
  std::string text;
  const auto collect = [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
    auto& message = *static_cast<std::string*>(out);
    const std::string what = entry->desc == nullptr ? "" : without_details(entry->desc);
    if (message.find(what) == std::string::npos) message += (message.empty() ? "" : " < ") + what;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "HDF5 gives no reason" : text;
}

void write_text_attribute(hid_t object, const fs::path& file, const char* name, const std::string& text) {
  Hdf5Type type(hdf5_check(H5Tcopy(H5T_C_S1), file, "attribute type"));
  hdf5_check(H5Tset_size(type.get(), std::max<std::size_t>(1, text.size())), file, "attribute size");
  hdf5_check(H5Tset_cset(type.get(), H5T_CSET_UTF8), file, "attribute encoding");
  hdf5_check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), file, "attribute padding");
  Hdf5Space space(hdf5_check(H5Screate(H5S_SCALAR), file, "attribute space"));
  Hdf5Attribute attribute(hdf5_check(H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), file,
                                     fmt::format("creating attribute '{}'", name)));
  const std::string padded = text.empty() ? std::string(1, '\0') : text;
  hdf5_check(H5Awrite(attribute.get(), type.get(), padded.data()), file, fmt::format("writing attribute '{}'", name));
}

std::string read_text_attribute(hid_t object, const fs::path& file, const char* name) {
  Hdf5Attribute attribute(
      hdf5_check(H5Aopen(object, name, H5P_DEFAULT), file, fmt::format("opening attribute '{}'", name)));
  Hdf5Type type(hdf5_check(H5Aget_type(attribute.get()), file, "attribute type"));
  std::string text(H5Tget_size(type.get()), '\0');
  hdf5_check(H5Aread(attribute.get(), type.get(), text.data()), file, fmt::format("reading attribute '{}'", name));
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

std::unique_lock<std::recursive_mutex> lock_hdf5() {
  static std::recursive_mutex mutex;
  std::unique_lock lock(mutex);
  thread_local bool prepared = false;
  if (!std::exchange(prepared, true)) {
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  return lock;
}

}  // namespace perfpipe
