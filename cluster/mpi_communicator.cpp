#include "cluster/mpi_communicator.hpp"

#include <cstdlib>
#include <exception>
#include <numeric>

#include <climits>
#include <fmt/format.h>
#include <mpi.h>

namespace perfpipe {
namespace {

void mpi_check(int status, const std::string& what) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw DeviceError(fmt::format("{}: MPI failed: {}", what, std::string(text, static_cast<std::size_t>(length))));
}

int count_of(std::size_t n, const std::string& what) {
  if (n > static_cast<std::size_t>(INT_MAX))
    throw DeviceError(fmt::format("{}: {} elements are more than one MPI message holds", what, n));
  return static_cast<int>(n);
}

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(MPI_Comm comm) : comm_(comm) {
    mpi_check(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "error handler");
    mpi_check(MPI_Comm_rank(comm_, &rank_), "rank");
    mpi_check(MPI_Comm_size(comm_, &size_), "size");
  }
  ~MpiCommunicator() override {
    // After an error the other ranks may never come here: freeing is collective, so only a sound job does it.
    if (std::uncaught_exceptions() == 0) MPI_Comm_free(&comm_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Communicator> split(int colour, const std::string& what) override {
    MPI_Comm part = MPI_COMM_NULL;
    mpi_check(MPI_Comm_split(comm_, colour, rank_, &part), what);
    return std::make_unique<MpiCommunicator>(part);
  }
  std::unique_ptr<Communicator> split_by_node(const std::string& what) override {
    MPI_Comm part = MPI_COMM_NULL;
    mpi_check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part), what);
    return std::make_unique<MpiCommunicator>(part);
  }
  std::unique_ptr<Communicator> group(const std::vector<int>& ranks, int group_tag, const std::string& what) override {
    MPI_Group all = MPI_GROUP_NULL, part = MPI_GROUP_NULL;
    mpi_check(MPI_Comm_group(comm_, &all), what);
    mpi_check(MPI_Group_incl(all, count_of(ranks.size(), what), ranks.data(), &part), what);
    MPI_Comm comm = MPI_COMM_NULL;
    mpi_check(MPI_Comm_create_group(comm_, part, group_tag, &comm), what);
    MPI_Group_free(&part);
    MPI_Group_free(&all);
    return std::make_unique<MpiCommunicator>(comm);
  }
  void barrier(const std::string& what) override { mpi_check(MPI_Barrier(comm_), what); }

  std::string broadcast(std::string bytes, int root, const std::string& what) override {
    std::int64_t length = static_cast<std::int64_t>(bytes.size());
    mpi_check(MPI_Bcast(&length, 1, MPI_INT64_T, root, comm_), what);
    bytes.resize(static_cast<std::size_t>(length));
    mpi_check(MPI_Bcast(bytes.data(), count_of(bytes.size(), what), MPI_CHAR, root, comm_), what);
    return bytes;
  }

  std::vector<std::string> gather(const std::string& bytes, int root, const std::string& what) override {
    const int length = count_of(bytes.size(), what);
    std::vector<int> lengths(rank_ == root ? static_cast<std::size_t>(size_) : 0);
    mpi_check(MPI_Gather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, root, comm_), what);
    std::vector<int> offsets(lengths.size(), 0);
    std::size_t total = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      offsets[i] = count_of(total, what);
      total += static_cast<std::size_t>(lengths[i]);
    }
    std::string all(total, '\0');
    mpi_check(
        MPI_Gatherv(bytes.data(), length, MPI_CHAR, all.data(), lengths.data(), offsets.data(), MPI_CHAR, root, comm_),
        what);
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < lengths.size(); ++i)
      parts.push_back(all.substr(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(lengths[i])));
    return parts;
  }

  void allreduce_sum(std::span<std::int64_t> values, const std::string& what) override {
    mpi_check(MPI_Allreduce(MPI_IN_PLACE, values.data(), count_of(values.size(), what), MPI_INT64_T, MPI_SUM, comm_),
              what);
  }
  void allreduce_max(std::span<double> values, const std::string& what) override {
    mpi_check(MPI_Allreduce(MPI_IN_PLACE, values.data(), count_of(values.size(), what), MPI_DOUBLE, MPI_MAX, comm_),
              what);
  }

  void send(int to, std::string bytes, const std::string& what) override {
    mpi_check(MPI_Send(bytes.data(), count_of(bytes.size(), what), MPI_CHAR, to, tag, comm_), what);
  }

  std::optional<Message> try_receive(int from, const std::string& what) override {
    int here = 0;
    MPI_Message handle = MPI_MESSAGE_NULL;
    MPI_Status status;
    // Matched probe: with several threads a plain probe and receive could take different messages.
    mpi_check(MPI_Improbe(from == any_rank ? MPI_ANY_SOURCE : from, tag, comm_, &here, &handle, &status), what);
    if (!here) return std::nullopt;
    int length = 0;
    mpi_check(MPI_Get_count(&status, MPI_CHAR, &length), what);
    Message message{status.MPI_SOURCE, std::string(static_cast<std::size_t>(length), '\0')};
    mpi_check(MPI_Mrecv(message.bytes.data(), length, MPI_CHAR, &handle, &status), what);
    return message;
  }

 private:
  static constexpr int tag = 1;
  MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace

bool started_under_mpi() {
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
    if (std::getenv(variable) != nullptr) return true;
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  if (tasks != nullptr && std::getenv("SLURM_PROCID") != nullptr && std::string(tasks) != "1")
    throw DeviceError("started by srun as one of " + std::string(tasks) +
                      " tasks, but without MPI between them; use srun --mpi=pmix");
  return false;
}

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "unknown";
  const std::string words(text, static_cast<std::size_t>(length));
  return words.substr(0, words.find_first_of(",\n"));
}

std::string mpi_threading() {
  int started = 0, level = 0;
  if (MPI_Initialized(&started) != MPI_SUCCESS || !started || MPI_Query_thread(&level) != MPI_SUCCESS) return "";
  return level == MPI_THREAD_MULTIPLE     ? "MPI_THREAD_MULTIPLE"
         : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
         : level == MPI_THREAD_FUNNELED   ? "MPI_THREAD_FUNNELED"
                                          : "MPI_THREAD_SINGLE";
}

MpiRuntime::MpiRuntime(int& argc, char**& argv) : exceptions_at_start_(std::uncaught_exceptions()) {
  int provided = 0;
  mpi_check(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided), "starting MPI");
  if (provided < MPI_THREAD_MULTIPLE)
    throw DeviceError(
        "this MPI library was built without MPI_THREAD_MULTIPLE, which the dispatcher needs; use Debian's Open MPI");
}

MpiRuntime::~MpiRuntime() {
  if (std::uncaught_exceptions() == exceptions_at_start_) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiRuntime::world() {
  MPI_Comm copy = MPI_COMM_NULL;
  mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &copy), "copying the communicator");
  return std::make_unique<MpiCommunicator>(copy);
}

void MpiRuntime::abort_all(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace perfpipe
