// Owning HDF5 handles typed by their close function, the library's error stack as text, attributes that are text.
#pragma once

#include "core/error.hpp"

#include <filesystem>
#include <mutex>
#include <string>
#include <utility>

#include <hdf5.h>

namespace perfpipe {

/// Closes its handle when it goes; `close()` reports a failed close, which is where HDF5 first shows a full disk.
template <herr_t (*Close)(hid_t)>
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  explicit Hdf5Handle(hid_t id) : id_(id) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0) Close(id_);
  }
  hid_t get() const { return id_; }
  bool close() { return id_ < 0 || Close(std::exchange(id_, H5I_INVALID_HID)) >= 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

using Hdf5File = Hdf5Handle<H5Fclose>;
using Hdf5Dataset = Hdf5Handle<H5Dclose>;
using Hdf5Space = Hdf5Handle<H5Sclose>;
using Hdf5Type = Hdf5Handle<H5Tclose>;
using Hdf5Attribute = Hdf5Handle<H5Aclose>;
using Hdf5Properties = Hdf5Handle<H5Pclose>;

/// The innermost messages of HDF5's error stack, on one line.
std::string hdf5_error_text();

/// Whoever calls HDF5 holds this: it is not made for several threads. Its errors then go into our messages instead of
/// the terminal (it keeps that setting for each thread), and at the program's end it leaves alone what is still open
/// (after a full disk it would write once more, and crash).
[[nodiscard]] std::unique_lock<std::recursive_mutex> lock_hdf5();

void write_text_attribute(hid_t object, const std::filesystem::path& file, const char* name, const std::string& text);
std::string read_text_attribute(hid_t object, const std::filesystem::path& file, const char* name);

/// Throws IoError "FILE: WHAT: HDF5's words" when an HDF5 call returned a negative value.
template <class Result>
Result hdf5_check(Result result, const std::filesystem::path& file, const std::string& what) {
  if (result < 0) throw IoError(file.string() + ": " + what + ": " + hdf5_error_text());
  return result;
}

}  // namespace perfpipe
