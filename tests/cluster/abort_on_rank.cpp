// abort_on_rank RANK WHERE: a job of which one rank fails, ended as pipeline/main.cpp ends one.
// WHERE: task (while it runs a task of a graph) or collective (while the others wait for it in a broadcast).
#include "cluster/dispatcher.hpp"
#include "cluster/last_words.hpp"
#include "cluster/mpi_communicator.hpp"

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

namespace {

using namespace perfpipe;

[[noreturn]] void fail(const Communicator& world) {
  throw InputError("sub-01_dsc.nii: broken on rank " + std::to_string(world.rank()));
}

void work(Communicator& world, int bad_rank, const std::string& where) {
  if (where == "collective") {
    if (world.rank() == bad_rank) fail(world);
    world.broadcast("text", bad_rank, "waiting for the bad rank");
    return;
  }
  DispatchHooks hooks;
  hooks.execute = [&](int, const std::vector<int>&, Communicator*) -> TaskOutcome {
    if (world.rank() == bad_rank) fail(world);
    std::this_thread::sleep_for(std::chrono::seconds(30));  // stands for long work: nobody looks up
    return {TaskStatus::done, "", 0.0, world.rank()};
  };
  run_graph(world, std::vector<GraphTask>(static_cast<std::size_t>(world.size())), hooks);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  int rank = 0;
  try {
    MpiRuntime mpi(argc, argv);
    const auto world = mpi.world();
    rank = world->rank();
    work(*world, std::atoi(argv[1]), argv[2]);
    return 0;
  } catch (const Error& error) {
    leave_last_words("error on rank " + std::to_string(rank) + ": " + error.what() + "\n");
    MpiRuntime::abort_all(static_cast<int>(error.code()));
  }
}
