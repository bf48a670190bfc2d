// Makes NIfTI files, right and wrong ones, for tests: byte by byte, with no code of the program.
#pragma once

#include "tests/temp_folder.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <zlib.h>

namespace perfpipe {

/// gzip of some bytes, as one member.
inline std::string gzip(const std::string& bytes) {
  z_stream zlib{};
  if (deflateInit2(&zlib, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflateInit2");
  std::string out(deflateBound(&zlib, bytes.size()) + 64, '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  zlib.avail_in = static_cast<uInt>(bytes.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  if (deflate(&zlib, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

struct NiftiBuilder {
  int version = 1;
  bool big_endian = false;
  std::vector<std::int64_t> dim{4, 3, 2};  ///< without dim[0]
  int datatype = 16;
  std::optional<int> bitpix;  ///< that of the datatype if empty
  std::array<double, 8> pixdim{1, 2, 2, 5, 1.5, 0, 0, 0};
  std::optional<double> vox_offset;  ///< 352 or 544 if empty
  double scl_slope = 0.0;
  double scl_inter = 0.0;
  int xyzt_units = 10;  ///< mm and s
  int intent_code = 0;
  int qform_code = 0;
  int sform_code = 1;
  std::array<double, 6> quaternion{};  ///< b, c, d, offsets
  std::array<double, 12> srow{2, 0, 0, -4, 0, 2, 0, -3, 0, 0, 5, -5};
  std::string magic;  ///< "n+1" or "n+2" if empty
  std::string descrip;
  std::function<double(std::size_t)> value = [](std::size_t i) {
    return static_cast<double>(i % 100);
  };                  ///< stored value
  std::string after;  ///< bytes after the data

  std::size_t voxels() const {
    std::size_t n = 1;
    for (const auto d : dim) n *= static_cast<std::size_t>(std::max<std::int64_t>(d, 0));
    return n;
  }

  std::string bytes() const {
    std::string out(version == 1 ? 352 : 544, '\0');
    const auto d = [&](std::size_t i) { return i == 0 ? std::int64_t(dim.size()) : i <= dim.size() ? dim[i - 1] : 0; };
    const double offset = vox_offset.value_or(static_cast<double>(out.size()));
    if (version == 1) {
      put<std::int32_t>(out, 0, 348);
      for (std::size_t i = 0; i < 8; ++i) {
        put<std::int16_t>(out, 40 + 2 * i, static_cast<std::int16_t>(d(i)));
        put<float>(out, 76 + 4 * i, static_cast<float>(pixdim[i]));
      }
      put<std::int16_t>(out, 68, static_cast<std::int16_t>(intent_code));
      put<std::int16_t>(out, 70, static_cast<std::int16_t>(datatype));
      put<std::int16_t>(out, 72, static_cast<std::int16_t>(bitpix.value_or(bits())));
      put<float>(out, 108, static_cast<float>(offset));
      put<float>(out, 112, static_cast<float>(scl_slope));
      put<float>(out, 116, static_cast<float>(scl_inter));
      out[123] = static_cast<char>(xyzt_units);
      descrip.copy(out.data() + 148, 79);
      put<std::int16_t>(out, 252, static_cast<std::int16_t>(qform_code));
      put<std::int16_t>(out, 254, static_cast<std::int16_t>(sform_code));
      for (std::size_t i = 0; i < 6; ++i) put<float>(out, 256 + 4 * i, static_cast<float>(quaternion[i]));
      for (std::size_t i = 0; i < 12; ++i) put<float>(out, 280 + 4 * i, static_cast<float>(srow[i]));
      (magic.empty() ? std::string("n+1") : magic).copy(out.data() + 344, 4);
    } else {
      put<std::int32_t>(out, 0, 540);
      std::string("n+2\0\r\n\032\n", 8).copy(out.data() + 4, 8);
      if (!magic.empty()) magic.copy(out.data() + 4, 4);
      put<std::int16_t>(out, 12, static_cast<std::int16_t>(datatype));
      put<std::int16_t>(out, 14, static_cast<std::int16_t>(bitpix.value_or(bits())));
      for (std::size_t i = 0; i < 8; ++i) {
        put<std::int64_t>(out, 16 + 8 * i, d(i));
        put<double>(out, 104 + 8 * i, pixdim[i]);
      }
      put<std::int64_t>(out, 168, static_cast<std::int64_t>(offset));
      put<double>(out, 176, scl_slope);
      put<double>(out, 184, scl_inter);
      descrip.copy(out.data() + 240, 79);
      put<std::int32_t>(out, 344, qform_code);
      put<std::int32_t>(out, 348, sform_code);
      for (std::size_t i = 0; i < 6; ++i) put<double>(out, 352 + 8 * i, quaternion[i]);
      for (std::size_t i = 0; i < 12; ++i) put<double>(out, 400 + 8 * i, srow[i]);
      put<std::int32_t>(out, 500, xyzt_units);
      put<std::int32_t>(out, 504, intent_code);
    }
    const std::size_t start = out.size();
    const auto size = static_cast<std::size_t>(bits() / 8);
    out.resize(start + voxels() * size);
    for (std::size_t i = 0; i < voxels(); ++i) put_value(out, start + i * size, value(i));
    return out + after;
  }

  /// Writes the file, compressed if its name ends in .gz.
  std::filesystem::path write(const TempFolder& folder, const std::filesystem::path& name) const {
    return folder.write(name, name.extension() == ".gz" ? gzip(bytes()) : bytes());
  }

 private:
  int bits() const {
    switch (datatype) {
      case 2:
      case 256:
        return 8;
      case 4:
      case 512:
        return 16;
      case 64:
      case 1024:
      case 1280:
      case 32:
        return 64;
      case 128:
        return 24;
      case 1536:
      case 1792:
        return 128;
      default:
        return 32;
    }
  }

  template <class T>
  void put(std::string& out, std::size_t offset, T number) const {
    std::array<char, sizeof(T)> raw;
    std::memcpy(raw.data(), &number, sizeof(T));
    if (big_endian) std::reverse(raw.begin(), raw.end());
    std::copy(raw.begin(), raw.end(), out.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  void put_value(std::string& out, std::size_t offset, double number) const {
    switch (datatype) {
      case 2:
        return put(out, offset, static_cast<std::uint8_t>(number));
      case 4:
        return put(out, offset, static_cast<std::int16_t>(number));
      case 8:
        return put(out, offset, static_cast<std::int32_t>(number));
      case 16:
        return put(out, offset, static_cast<float>(number));
      case 64:
        return put(out, offset, number);
      case 256:
        return put(out, offset, static_cast<std::int8_t>(number));
      case 512:
        return put(out, offset, static_cast<std::uint16_t>(number));
      case 768:
        return put(out, offset, static_cast<std::uint32_t>(number));
      case 1024:
        return put(out, offset, static_cast<std::int64_t>(number));
      case 1280:
        return put(out, offset, static_cast<std::uint64_t>(number));
      default:
        return;  // types that are refused: their data stay zero
    }
  }
};

/// True if one of the lines holds every one of these pieces.
inline bool has_line(const std::vector<std::string>& lines, const std::vector<std::string>& pieces) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return std::all_of(pieces.begin(), pieces.end(),
                       [&](const std::string& piece) { return line.find(piece) != std::string::npos; });
  });
}

/// All lines as one text, for failure messages.
inline std::string all_lines(const std::vector<std::string>& lines) {
  std::string text = "found: ";
  for (const auto& line : lines) text += "\n  " + line;
  return text;
}

}  // namespace perfpipe
