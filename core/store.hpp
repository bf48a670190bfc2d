// The store: every finished task leaves one HDF5 file, committed so that it is whole or absent.
//
// An artifact is `OUT/store/<stage>/<task>.h5`. Its first 1024 bytes (the HDF5 user block) are readable text: the key
// that says what it was made from, and a hash of all bytes behind it. A plain HDF5 tool opens the file as usual.
#pragma once

#include "core/error.hpp"
#include "core/kept_arrays.hpp"
#include "core/raw_values.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perfpipe {

enum class ElementType { float32, float64, uint8, int32 };

/// A dataset as stages declare it: what is written must be what is read.
struct DatasetSpec {
  std::string name;               ///< "concentration"
  std::vector<std::string> axes;  ///< {"z", "y", "x", "time"}; time is contiguous
  std::string units;              ///< "1/s"; "1" where there is none
  ElementType type = ElementType::float32;
  std::string long_name = {};
  std::int64_t samples = 0;  ///< length of the time axis that a reader needs or a writer gives; 0: any, or not known
};

/// A file beside the store that a task has written (a NIfTI map, a table): part of what it left.
struct PublishedFile {
  std::string path;  ///< relative to the output folder
  std::string hash;
};

/// What the head of an artifact says.
struct ArtifactHead {
  std::string key;      ///< content key of the task that made it
  std::string content;  ///< hash of the bytes behind the head
  std::uint64_t bytes = 0;
  bool operator==(const ArtifactHead&) const = default;
};

/// Writes one artifact: temporary file in the same folder, then commit(): flush and close with every return code
/// checked, fsync, reopen and verify, rename, fsync of the folder. Without commit() nothing is left. Throws IoError.
class ArtifactWriter {
 public:
  /// `file` is the final path; folders are created. `made_from` is what the key was computed from, kept to explain
  /// later what has changed.
  ArtifactWriter(std::filesystem::path file, std::string key, const nlohmann::ordered_json& made_from);
  ~ArtifactWriter();
  ArtifactWriter(const ArtifactWriter&) = delete;
  ArtifactWriter& operator=(const ArtifactWriter&) = delete;

  /// Creates a dataset of the given dims (one for each axis), chunked so that a slab of axis 0 is contiguous.
  void create(const DatasetSpec& spec, const std::vector<std::int64_t>& dims);
  /// Writes entries [first, first + n) of axis 0, n = values.size() / (product of the other dims).
  template <class T>
  void write_slab(const std::string& name, std::int64_t first, std::span<const T> values);
  /// create() and write_slab() of everything at once.
  template <class T>
  void write(const DatasetSpec& spec, const std::vector<std::int64_t>& dims, std::span<const T> values) {
    create(spec, dims);
    write_slab<T>(spec.name, 0, values);
  }
  /// Facts that are not arrays (affine, times, settings); stored as JSON text.
  void set_metadata(const nlohmann::json& metadata);
  void add_published(PublishedFile file);
  /// Once this is committed, the whole of dataset `name` is kept in memory for its readers (core/kept_arrays.hpp).
  void keep(const std::string& name, KeptArray array, std::size_t most_bytes);
  /// `threads` share the hashing of a large file.
  void commit(int threads = 1);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads one artifact. Throws IoError naming the file if it is not whole.
class ArtifactReader {
 public:
  explicit ArtifactReader(std::filesystem::path file);
  ~ArtifactReader();
  ArtifactReader(ArtifactReader&&) noexcept;
  ArtifactReader& operator=(ArtifactReader&&) noexcept;

  bool has(const std::string& name) const;
  std::vector<std::int64_t> dims(const std::string& name) const;
  template <class T>
  std::vector<T> read(const std::string& name) const;
  /// Entries [first, first + count) of axis 0.
  template <class T>
  RawValues<T> read_slab(const std::string& name, std::int64_t first, std::int64_t count) const;
  /// The same of float32, shared with what is kept in memory where it is.
  Slices read_slices(const std::string& name, std::int64_t first, std::int64_t count) const;
  const nlohmann::json& metadata() const;
  nlohmann::json made_from() const;
  std::vector<PublishedFile> published() const;
  const std::filesystem::path& path() const;

 private:
  /// Entries [first, first + count) of axis 0 into `values`, resized.
  template <class Vector>
  void read_rows(const std::string& name, std::int64_t first, std::int64_t count, Vector& values) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The head of an artifact, or nothing if the file is missing or its head is not one of ours.
std::optional<ArtifactHead> read_artifact_head(const std::filesystem::path& file);

/// True if the bytes behind the head are those that were written (reads the whole file).
bool artifact_is_intact(const std::filesystem::path& file, const ArtifactHead& head);

}  // namespace perfpipe
