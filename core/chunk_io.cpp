#include "core/chunk_io.hpp"

#include "core/fletcher32.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr std::size_t checksum_bytes = 4;

bool all_zero(const std::uint8_t* bytes, std::size_t count) {
  return count == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, count - 1) == 0);
}

}  // namespace

std::optional<SliceChunks> SliceChunks::of(hid_t dataset, std::size_t element_bytes) {
  if constexpr (std::endian::native != std::endian::little) return std::nullopt;
  const Hdf5Space space(H5Dget_space(dataset));
  const Hdf5Properties properties(H5Dget_create_plist(dataset));
  const Hdf5Type type(H5Dget_type(dataset));
  const int rank = H5Sget_simple_extent_ndims(space.get());
  if (rank < 3 || H5Tget_size(type.get()) != element_bytes || H5Tget_order(type.get()) == H5T_ORDER_BE ||
      H5Pget_layout(properties.get()) != H5D_CHUNKED || H5Pget_nfilters(properties.get()) != 1)
    return std::nullopt;
  unsigned flags = 0;
  std::size_t values = 0;
  if (H5Pget_filter2(properties.get(), 0, &flags, &values, nullptr, 0, nullptr, nullptr) != H5Z_FILTER_FLETCHER32)
    return std::nullopt;
  SliceChunks chunks;
  chunks.dataset_ = dataset;
  chunks.sizes_.resize(static_cast<std::size_t>(rank));
  std::vector<hsize_t> chunk(chunks.sizes_.size());
  H5Sget_simple_extent_dims(space.get(), chunks.sizes_.data(), nullptr);
  H5Pget_chunk(properties.get(), rank, chunk.data());
  if (chunk[0] != 1 || !std::equal(chunk.begin() + 2, chunk.end(), chunks.sizes_.begin() + 2)) return std::nullopt;
  chunks.chunk_rows_ = chunk[1];
  chunks.row_bytes_ = element_bytes;
  for (std::size_t axis = 2; axis < chunk.size(); ++axis)
    chunks.row_bytes_ *= static_cast<std::size_t>(chunks.sizes_[axis]);
  return chunks;
}

void SliceChunks::write(std::int64_t first, std::int64_t count, const std::uint8_t* values,
                        const std::filesystem::path& file, const std::string& what) const {
  const std::size_t bytes = static_cast<std::size_t>(chunk_rows_) * row_bytes_;
  std::vector<std::uint8_t> stored(bytes + checksum_bytes);
  std::vector<hsize_t> place(sizes_.size(), 0);
  for (std::int64_t slice = 0; slice < count; ++slice)
    for (hsize_t row = 0; row < sizes_[1]; row += chunk_rows_) {
      const std::uint8_t* const from =
          values + static_cast<std::size_t>(slice) * slice_bytes() + static_cast<std::size_t>(row) * row_bytes_;
      const std::size_t here = static_cast<std::size_t>(std::min(chunk_rows_, sizes_[1] - row)) * row_bytes_;
      if (all_zero(from, here)) continue;
      std::memcpy(stored.data(), from, here);
      std::memset(stored.data() + here, 0, bytes - here);  // the last chunk hangs over the edge
      const std::uint32_t checksum = fletcher32({stored.data(), bytes});
      std::memcpy(stored.data() + bytes, &checksum, checksum_bytes);
      place[0] = static_cast<hsize_t>(first + slice);
      place[1] = row;
      const auto lock = lock_hdf5();
      hdf5_check(H5Dwrite_chunk(dataset_, H5P_DEFAULT, 0, place.data(), stored.size(), stored.data()), file,
                 "writing " + what);
    }
}

void SliceChunks::read(std::int64_t first, std::int64_t count, std::uint8_t* values, const std::filesystem::path& file,
                       const std::string& what) const {
  const std::size_t bytes = static_cast<std::size_t>(chunk_rows_) * row_bytes_;
  const std::uint8_t* const end = values + static_cast<std::size_t>(count) * slice_bytes();
  std::vector<std::uint8_t> edge(bytes + checksum_bytes);
  std::vector<hsize_t> place(sizes_.size(), 0);
  for (std::int64_t slice = 0; slice < count; ++slice)
    for (hsize_t row = 0; row < sizes_[1]; row += chunk_rows_) {
      std::uint8_t* const to =
          values + static_cast<std::size_t>(slice) * slice_bytes() + static_cast<std::size_t>(row) * row_bytes_;
      const std::size_t here = static_cast<std::size_t>(std::min(chunk_rows_, sizes_[1] - row)) * row_bytes_;
      // Straight to its place, where the checksum behind it may lie until the next chunk comes.
      const bool fits = here == bytes && static_cast<std::size_t>(end - to) >= bytes + checksum_bytes;
      std::uint8_t* const stored = fits ? to : edge.data();
      place[0] = static_cast<hsize_t>(first + slice);
      place[1] = row;
      std::uint32_t skipped_filters = 0, checksum = 0;
      {
        const auto lock = lock_hdf5();
        hsize_t size = 0;
        haddr_t address = HADDR_UNDEF;
        if (H5Dget_chunk_info_by_coord(dataset_, place.data(), nullptr, &address, &size) < 0 || size == 0) {
          H5Eclear2(H5E_DEFAULT);
          read_absent(place, to, file, what);
          continue;
        }
        if (size != bytes + checksum_bytes)
          throw IoError(fmt::format("{}: reading {}: a chunk has {} bytes instead of {}: the file is damaged",
                                    file.string(), what, size, bytes + checksum_bytes));
        hdf5_check(H5Dread_chunk(dataset_, H5P_DEFAULT, place.data(), &skipped_filters, stored), file,
                   "reading " + what);
      }
      std::memcpy(&checksum, stored + bytes, checksum_bytes);
      if (skipped_filters != 0 || checksum != fletcher32({stored, bytes}))
        throw IoError(file.string() + ": reading " + what +
                      ": a chunk's checksum is wrong: the file is damaged; delete it and run the job again");
      if (!fits) std::memcpy(to, stored, here);
    }
}

void SliceChunks::read_absent(const std::vector<hsize_t>& place, std::uint8_t* values,
                              const std::filesystem::path& file, const std::string& what) const {
  std::vector<hsize_t> count = sizes_;
  count[0] = 1;
  count[1] = std::min(chunk_rows_, sizes_[1] - place[1]);
  const Hdf5Space space(hdf5_check(H5Dget_space(dataset_), file, "data space"));
  const Hdf5Type type(hdf5_check(H5Dget_type(dataset_), file, "data type"));
  hdf5_check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, place.data(), nullptr, count.data(), nullptr), file,
             "slab");
  const Hdf5Space memory(
      hdf5_check(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), file, "slab in memory"));
  hdf5_check(H5Dread(dataset_, type.get(), memory.get(), space.get(), H5P_DEFAULT, values), file, "reading " + what);
}

}  // namespace perfpipe
