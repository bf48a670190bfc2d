// Ranks started by mpirun or srun, through MPI.
#pragma once

#include "core/communicator.hpp"

#include <memory>

namespace perfpipe {

/// True if this process was started as one of several ranks (Open MPI's or Slurm's PMIx environment).
bool started_under_mpi();

/// The MPI library's own words about itself (first line), and its highest level of threading: "" before MPI has
/// started.
std::string mpi_library();
std::string mpi_threading();

/// Owns MPI_Init_thread(MPI_THREAD_MULTIPLE) and MPI_Finalize. Where an exception unwinds it, MPI is left open: a rank
/// that finalizes while others still work would hang the job, so the error path ends in abort_all().
class MpiRuntime {
 public:
  MpiRuntime(int& argc, char**& argv);
  ~MpiRuntime();
  MpiRuntime(const MpiRuntime&) = delete;
  MpiRuntime& operator=(const MpiRuntime&) = delete;
  /// A communicator of its own over all ranks.
  std::unique_ptr<Communicator> world();
  /// Ends all ranks with this exit code.
  [[noreturn]] static void abort_all(int exit_code);

 private:
  int exceptions_at_start_;
};

}  // namespace perfpipe
