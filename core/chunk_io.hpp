// Whole slices of a dataset written and read chunk by chunk, without HDF5's filters and cache: they took a third of the
// time of a job whose arithmetic is fast. What lies in the file is the same: plain chunks with their Fletcher-32.
#pragma once

#include "core/hdf5_handle.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// The chunks of a dataset that is stored as the store does with volumes: slices of axis 0, cut along axis 1, little
/// endian, Fletcher-32.
class SliceChunks {
 public:
  /// Nothing for datasets stored otherwise.
  static std::optional<SliceChunks> of(hid_t dataset, std::size_t element_bytes);

  std::size_t slice_bytes() const { return static_cast<std::size_t>(sizes_[1]) * row_bytes_; }

  /// Slices [first, first + count). Chunks of zeros are left out: HDF5 reads zeros where no chunk is. `what` names the
  /// dataset in messages. Throws IoError.
  void write(std::int64_t first, std::int64_t count, const std::uint8_t* values, const std::filesystem::path& file,
             const std::string& what) const;
  void read(std::int64_t first, std::int64_t count, std::uint8_t* values, const std::filesystem::path& file,
            const std::string& what) const;

 private:
  /// A chunk that HDF5 does not find: it fills in zeros, or says what is wrong.
  void read_absent(const std::vector<hsize_t>& place, std::uint8_t* values, const std::filesystem::path& file,
                   const std::string& what) const;

  hid_t dataset_ = H5I_INVALID_HID;
  std::vector<hsize_t> sizes_;
  hsize_t chunk_rows_ = 0;     ///< of axis 1
  std::size_t row_bytes_ = 0;  ///< of everything behind axis 1
};

}  // namespace perfpipe
