#include "core/store.hpp"

#include "core/atomic_file.hpp"
#include "core/chunk_io.hpp"
#include "core/descriptor.hpp"
#include "core/hash.hpp"
#include "core/hdf5_handle.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <numeric>
#include <unistd.h>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

constexpr hsize_t head_bytes = 1024;
constexpr std::string_view head_magic = "perfpipe artifact 1\n";
constexpr std::int64_t chunk_target_bytes = 256 << 10;

template <class T>
hid_t memory_type();
template <>
hid_t memory_type<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t memory_type<double>() {
  return H5T_NATIVE_DOUBLE;
}
template <>
hid_t memory_type<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
hid_t memory_type<std::int32_t>() {
  return H5T_NATIVE_INT32;
}

hid_t file_type(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return H5T_IEEE_F32LE;
    case ElementType::float64:
      return H5T_IEEE_F64LE;
    case ElementType::uint8:
      return H5T_STD_U8LE;
    case ElementType::int32:
      return H5T_STD_I32LE;
  }
  return H5T_IEEE_F32LE;
}

/// Slices of one position on axis 0, cut along axis 1 to about `chunk_target_bytes`, all of the axes behind.
std::vector<hsize_t> chunk_of(const std::vector<std::int64_t>& dims, std::int64_t element_bytes) {
  std::vector<hsize_t> chunk(dims.begin(), dims.end());
  for (auto& c : chunk) c = std::max<hsize_t>(c, 1);
  if (dims.size() == 1) {
    chunk[0] = std::min<hsize_t>(chunk[0], static_cast<hsize_t>(chunk_target_bytes / element_bytes));
    return chunk;
  }
  std::int64_t row = element_bytes;
  for (std::size_t axis = 2; axis < chunk.size(); ++axis) row *= static_cast<std::int64_t>(chunk[axis]);
  if (dims.size() == 2) {  // rows of a table: many in one chunk
    row *= static_cast<std::int64_t>(chunk[1]);
    chunk[0] = std::min<hsize_t>(chunk[0], static_cast<hsize_t>(std::max<std::int64_t>(1, chunk_target_bytes / row)));
    return chunk;
  }
  chunk[0] = 1;
  chunk[1] = std::min<hsize_t>(chunk[1], static_cast<hsize_t>(std::max<std::int64_t>(1, chunk_target_bytes / row)));
  return chunk;
}

/// A lock let go of for a while; held again when handles close.
class Unlocked {
 public:
  explicit Unlocked(std::unique_lock<std::recursive_mutex>& lock) : lock_(lock) { lock_.unlock(); }
  ~Unlocked() { lock_.lock(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  std::unique_lock<std::recursive_mutex>& lock_;
};

void write_head(const fs::path& file, const ArtifactHead& head) {
  const nlohmann::ordered_json json{{"key", head.key}, {"content", head.content}, {"bytes", head.bytes}};
  std::string text = std::string(head_magic) + json.dump() + "\n";
  text.resize(head_bytes, ' ');
  const Descriptor out(file, O_WRONLY);
  if (out.get() < 0 || ::pwrite(out.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::fsync(out.get()) != 0)
    throw IoError(file.string() + ": writing failed: " + std::strerror(errno));
}

}  // namespace

struct ArtifactWriter::Impl {
  explicit Impl(fs::path target) : final(std::move(target)), pending(final) {}
  ~Impl() {
    const auto lock = lock_hdf5();
    datasets.clear();
    file.close();
  }
  fs::path final;
  PendingFile pending;
  std::string key;
  std::string made_from;
  Hdf5File file;
  std::vector<std::pair<std::string, Hdf5Dataset>> datasets;
  nlohmann::json metadata = nlohmann::json::object();
  nlohmann::json published = nlohmann::json::array();
  struct Kept {
    std::string name;
    KeptArray array;
    std::size_t most_bytes;
  };
  std::vector<Kept> kept;

  Hdf5Dataset& find(const std::string& name) {
    for (auto& [known, dataset] : datasets)
      if (known == name) return dataset;
    throw IoError(final.string() + ": dataset '" + name + "' was not created");
  }
};

ArtifactWriter::ArtifactWriter(fs::path file, std::string key, const nlohmann::ordered_json& made_from) {
  const auto lock = lock_hdf5();
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) throw IoError(file.parent_path().string() + ": the folder cannot be created: " + error.message());
  impl_ = std::make_unique<Impl>(std::move(file));
  impl_->key = std::move(key);
  impl_->made_from = made_from.dump();
  const fs::path& target = impl_->final;
  Hdf5Properties create(hdf5_check(H5Pcreate(H5P_FILE_CREATE), target, "file properties"));
  hdf5_check(H5Pset_userblock(create.get(), head_bytes), target, "file head");
  // No time stamp on the root group either: the same content must give the same bytes.
  hdf5_check(H5Pset_obj_track_times(create.get(), false), target, "file properties");
  Hdf5Properties access(hdf5_check(H5Pcreate(H5P_FILE_ACCESS), target, "file access"));
  hdf5_check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST), target, "file version");
  impl_->file =
      Hdf5File(hdf5_check(H5Fcreate(impl_->pending.temporary().c_str(), H5F_ACC_TRUNC, create.get(), access.get()),
                          target, "the file cannot be created"));
}

ArtifactWriter::~ArtifactWriter() = default;

void ArtifactWriter::create(const DatasetSpec& spec, const std::vector<std::int64_t>& dims) {
  const auto lock = lock_hdf5();
  const fs::path& file = impl_->final;
  if (dims.size() != spec.axes.size())
    throw IoError(fmt::format("{}: dataset '{}' has axes ({}) but {} dims", file.string(), spec.name,
                              fmt::join(spec.axes, ", "), dims.size()));
  const std::vector<hsize_t> sizes(dims.begin(), dims.end());
  Hdf5Space space(
      hdf5_check(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), file, "data space"));
  Hdf5Properties properties(hdf5_check(H5Pcreate(H5P_DATASET_CREATE), file, "dataset properties"));
  // No time stamps: the same content must give the same bytes.
  hdf5_check(H5Pset_obj_track_times(properties.get(), false), file, "dataset properties");
  const hid_t type = file_type(spec.type);
  if (std::accumulate(sizes.begin(), sizes.end(), hsize_t{1}, std::multiplies<>()) > 0) {
    const auto chunk = chunk_of(dims, static_cast<std::int64_t>(H5Tget_size(type)));
    hdf5_check(H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data()), file, "chunk size");
    hdf5_check(H5Pset_fletcher32(properties.get()), file, "checksum filter");
  }
  Hdf5Dataset dataset(hdf5_check(
      H5Dcreate2(impl_->file.get(), spec.name.c_str(), type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
      file, "creating dataset '" + spec.name + "'"));
  write_text_attribute(dataset.get(), file, "units", spec.units);
  write_text_attribute(dataset.get(), file, "long_name", spec.long_name);
  write_text_attribute(dataset.get(), file, "axes", fmt::format("{}", fmt::join(spec.axes, " ")));
  impl_->datasets.emplace_back(spec.name, std::move(dataset));
}

template <class T>
void ArtifactWriter::write_slab(const std::string& name, std::int64_t first, std::span<const T> values) {
  if (values.empty()) return;
  auto lock = lock_hdf5();
  Hdf5Dataset& dataset = impl_->find(name);
  Hdf5Space space(hdf5_check(H5Dget_space(dataset.get()), impl_->final, "data space"));
  const int rank = H5Sget_simple_extent_ndims(space.get());
  std::vector<hsize_t> count(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), count.data(), nullptr);
  const hsize_t row = std::accumulate(count.begin() + 1, count.end(), hsize_t{1}, std::multiplies<>());
  if (row == 0 || values.size() % row != 0 || static_cast<hsize_t>(first) + values.size() / row > count[0])
    throw IoError(fmt::format("{}: dataset '{}': {} values from row {} do not fit {} rows of {}", impl_->final.string(),
                              name, values.size(), first, count[0], row));
  count[0] = values.size() / row;
  if (const auto chunks = SliceChunks::of(dataset.get(), sizeof(T))) {
    const Unlocked others_may(lock);
    chunks->write(first, static_cast<std::int64_t>(count[0]), reinterpret_cast<const std::uint8_t*>(values.data()),
                  impl_->final, "dataset '" + name + "'");
    return impl_->pending.write_back();
  }
  std::vector<hsize_t> start(count.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  hdf5_check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
             impl_->final, "slab");
  Hdf5Space memory(hdf5_check(H5Screate_simple(rank, count.data(), nullptr), impl_->final, "slab in memory"));
  hdf5_check(H5Dwrite(dataset.get(), memory_type<T>(), memory.get(), space.get(), H5P_DEFAULT, values.data()),
             impl_->final, "writing dataset '" + name + "'");
}

void ArtifactWriter::set_metadata(const nlohmann::json& metadata) { impl_->metadata = metadata; }
void ArtifactWriter::add_published(PublishedFile file) {
  impl_->published.push_back({{"path", file.path}, {"hash", file.hash}});
}

void ArtifactWriter::keep(const std::string& name, KeptArray array, std::size_t most_bytes) {
  impl_->kept.push_back({name, std::move(array), most_bytes});
}

void ArtifactWriter::commit(int threads) {
  const auto lock = lock_hdf5();
  const fs::path &file = impl_->final, &temporary = impl_->pending.temporary();
  write_text_attribute(impl_->file.get(), file, "metadata", impl_->metadata.dump());
  write_text_attribute(impl_->file.get(), file, "published", impl_->published.dump());
  write_text_attribute(impl_->file.get(), file, "made_from", impl_->made_from);
  write_text_attribute(impl_->file.get(), file, "key", impl_->key);
  for (auto& [name, dataset] : impl_->datasets) {
    hdf5_check(H5Dflush(dataset.get()), file, "writing dataset '" + name + "'");
    if (!dataset.close()) throw IoError(file.string() + ": closing dataset '" + name + "': " + hdf5_error_text());
  }
  impl_->datasets.clear();
  hdf5_check(H5Fflush(impl_->file.get(), H5F_SCOPE_GLOBAL), file, "writing");
  if (!impl_->file.close()) throw IoError(file.string() + ": closing failed: " + hdf5_error_text());
  auto durable = std::async(std::launch::async, [&] { make_durable(temporary); });  // most of it, while it is hashed
  ArtifactHead head{impl_->key, hash_file(temporary, head_bytes, threads), fs::file_size(temporary)};
  durable.get();
  write_head(temporary, head);
  { ArtifactReader verify(temporary); }  // opens: head, size and metadata are as written
  impl_->pending.commit();
  for (auto& [name, array, most_bytes] : impl_->kept)
    keep_array(file, head.content, name, std::move(array), most_bytes);
}

struct ArtifactReader::Impl {
  ~Impl() {
    const auto lock = lock_hdf5();
    file.close();
  }
  fs::path path;
  std::string content;
  Hdf5File file;
  nlohmann::json metadata;
};

ArtifactReader::ArtifactReader(fs::path file) : impl_(std::make_unique<Impl>()) {
  const auto lock = lock_hdf5();
  impl_->path = std::move(file);
  const auto head = read_artifact_head(impl_->path);
  if (!head)
    throw IoError(impl_->path.string() +
                  ": missing, or not an artifact of perfpipe; run the job again to make it anew");
  std::error_code error;
  if (fs::file_size(impl_->path, error) != head->bytes || error)
    throw IoError(fmt::format("{}: {} bytes were written but the file has {}; run the job again to make it anew",
                              impl_->path.string(), head->bytes, error ? 0 : fs::file_size(impl_->path)));
  impl_->content = head->content;
  impl_->file = Hdf5File(
      hdf5_check(H5Fopen(impl_->path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), impl_->path, "the file cannot be opened"));
  impl_->metadata =
      nlohmann::json::parse(read_text_attribute(impl_->file.get(), impl_->path, "metadata"), nullptr, false);
  if (impl_->metadata.is_discarded())
    throw IoError(impl_->path.string() + ": its metadata are damaged; delete the file and run again");
}
ArtifactReader::~ArtifactReader() = default;
ArtifactReader::ArtifactReader(ArtifactReader&&) noexcept = default;
ArtifactReader& ArtifactReader::operator=(ArtifactReader&&) noexcept = default;

bool ArtifactReader::has(const std::string& name) const {
  const auto lock = lock_hdf5();
  return H5Lexists(impl_->file.get(), name.c_str(), H5P_DEFAULT) > 0;
}
const nlohmann::json& ArtifactReader::metadata() const { return impl_->metadata; }
const fs::path& ArtifactReader::path() const { return impl_->path; }

nlohmann::json ArtifactReader::made_from() const {
  const auto lock = lock_hdf5();
  return nlohmann::json::parse(read_text_attribute(impl_->file.get(), impl_->path, "made_from"));
}

std::vector<PublishedFile> ArtifactReader::published() const {
  const auto lock = lock_hdf5();
  std::vector<PublishedFile> files;
  const auto json = nlohmann::json::parse(read_text_attribute(impl_->file.get(), impl_->path, "published"));
  for (const auto& file : json) files.push_back({file.at("path"), file.at("hash")});
  return files;
}

std::vector<std::int64_t> ArtifactReader::dims(const std::string& name) const {
  const auto lock = lock_hdf5();
  Hdf5Dataset dataset(hdf5_check(H5Dopen2(impl_->file.get(), name.c_str(), H5P_DEFAULT), impl_->path,
                                 "opening dataset '" + name + "'"));
  Hdf5Space space(hdf5_check(H5Dget_space(dataset.get()), impl_->path, "data space"));
  std::vector<hsize_t> sizes(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space.get())));
  H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

template <class Vector>
void ArtifactReader::read_rows(const std::string& name, std::int64_t first, std::int64_t count, Vector& values) const {
  using T = typename Vector::value_type;
  auto lock = lock_hdf5();
  Hdf5Dataset dataset(hdf5_check(H5Dopen2(impl_->file.get(), name.c_str(), H5P_DEFAULT), impl_->path,
                                 "opening dataset '" + name + "'"));
  Hdf5Space space(hdf5_check(H5Dget_space(dataset.get()), impl_->path, "data space"));
  const int rank = H5Sget_simple_extent_ndims(space.get());
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  if (first < 0 || count < 0 || static_cast<hsize_t>(first + count) > sizes[0])
    throw IoError(fmt::format("{}: dataset '{}': rows {} to {} asked for, there are {}", impl_->path.string(), name,
                              first, first + count, sizes[0]));
  std::vector<hsize_t> start(sizes.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  sizes[0] = static_cast<hsize_t>(count);
  values.resize(std::accumulate(sizes.begin(), sizes.end(), std::size_t{1}, std::multiplies<>()));
  if (values.empty()) return;
  if (const auto chunks = SliceChunks::of(dataset.get(), sizeof(T))) {
    const Unlocked others_may(lock);
    return chunks->read(first, count, reinterpret_cast<std::uint8_t*>(values.data()), impl_->path,
                        "dataset '" + name + "'");
  }
  hdf5_check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, sizes.data(), nullptr),
             impl_->path, "slab");
  Hdf5Space memory(hdf5_check(H5Screate_simple(rank, sizes.data(), nullptr), impl_->path, "slab in memory"));
  hdf5_check(H5Dread(dataset.get(), memory_type<T>(), memory.get(), space.get(), H5P_DEFAULT, values.data()),
             impl_->path, "reading dataset '" + name + "'");
}

template <class T>
RawValues<T> ArtifactReader::read_slab(const std::string& name, std::int64_t first, std::int64_t count) const {
  RawValues<T> values;
  read_rows(name, first, count, values);
  return values;
}

template <class T>
std::vector<T> ArtifactReader::read(const std::string& name) const {
  std::vector<T> values;
  read_rows(name, 0, dims(name).at(0), values);
  return values;
}

Slices ArtifactReader::read_slices(const std::string& name, std::int64_t first, std::int64_t count) const {
  const auto kept = kept_array(impl_->path, impl_->content, name);
  if (!kept) return Slices(read_slab<float>(name, first, count));
  const auto row = kept->size() / static_cast<std::size_t>(dims(name).at(0));
  return {kept, static_cast<std::size_t>(first) * row, static_cast<std::size_t>(count) * row};
}

#define PERFPIPE_STORE_TYPE(T)                                                                       \
  template void ArtifactWriter::write_slab<T>(const std::string&, std::int64_t, std::span<const T>); \
  template std::vector<T> ArtifactReader::read<T>(const std::string&) const;                         \
  template RawValues<T> ArtifactReader::read_slab<T>(const std::string&, std::int64_t, std::int64_t) const;
PERFPIPE_STORE_TYPE(float)
PERFPIPE_STORE_TYPE(double)
PERFPIPE_STORE_TYPE(std::uint8_t)
PERFPIPE_STORE_TYPE(std::int32_t)
#undef PERFPIPE_STORE_TYPE

std::optional<ArtifactHead> read_artifact_head(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(head_bytes, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(text.size())) || !text.starts_with(head_magic))
    return std::nullopt;
  const auto json = nlohmann::json::parse(text.substr(head_magic.size()), nullptr, false);
  if (!json.is_object() || !json.contains("key") || !json.contains("content") || !json.contains("bytes"))
    return std::nullopt;
  if (!json["key"].is_string() || !json["content"].is_string() || !json["bytes"].is_number_unsigned())
    return std::nullopt;
  return ArtifactHead{json["key"], json["content"], json["bytes"]};
}

bool artifact_is_intact(const fs::path& file, const ArtifactHead& head) {
  std::error_code error;
  return fs::file_size(file, error) == head.bytes && !error && hash_file(file, head_bytes) == head.content;
}

}  // namespace perfpipe
