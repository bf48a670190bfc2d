// How well the dispatcher keeps ranks busy: the trainings of a cross-validation as tasks that sleep instead of
// computing, so that more ranks than cores can be tried.
//   mpirun -np N farm [--seconds S] [--patients P] [--group-efficiency E] [--json FILE] [--at-least F]
// Twice: every training on one rank alone, and with the groups that share the last ones.
#include "cluster/dispatcher.hpp"
#include "cluster/mpi_communicator.hpp"
#include "cluster/serial_communicator.hpp"
#include "core/atomic_file.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace {

using namespace perfpipe;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Settings {
  double seconds = 2.0;           ///< of a training, on average
  int patients = 11;              ///< four trainings for each
  double group_efficiency = 0.9;  ///< of two or four ranks that share a training
  std::string json_file;
  double at_least = 0.0;  ///< efficiency below which the program ends with 1
};

/// The trainings: what the dispatcher is told they cost, and how long they take, which it cannot know.
struct Farm {
  std::vector<GraphTask> graph;
  std::vector<double> seconds;
};

Farm make_farm(const Settings& settings, int max_ranks) {
  Farm farm;
  double costs = 0.0;
  Random random(1, "farm");
  for (int patient = 0; patient < settings.patients; ++patient)
    for (int parameter = 0; parameter < 4; ++parameter) {
      GraphTask task;
      task.cost = parameter == 0 ? 0.5 : 1.0;  // the network of CBF is half as large
      task.max_ranks = max_ranks;
      costs += task.cost;
      farm.seconds.push_back(task.cost * random.uniform(0.9, 1.1));
      farm.graph.push_back(std::move(task));
    }
  const double scale = settings.seconds * static_cast<double>(farm.graph.size()) / costs;
  for (double& s : farm.seconds) s *= scale;
  return farm;
}

/// Runs the farm and returns what came of it (on rank 0).
json measure(Communicator& world, const Settings& settings, bool groups) {
  const Farm farm = make_farm(settings, groups ? 4 : 1);
  DispatchHooks hooks;
  hooks.execute = [&](int task, const std::vector<int>&, Communicator* group) {
    const int ranks = group == nullptr ? 1 : group->size();
    const double speed = ranks == 1 ? 1.0 : ranks * settings.group_efficiency;
    const double seconds = farm.seconds[static_cast<std::size_t>(task)] / speed;
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    return TaskOutcome{TaskStatus::done, "", seconds, world.rank()};
  };
  world.barrier("start of the farm");
  const auto start = Clock::now();
  run_graph(world, farm.graph, hooks);
  world.barrier("end of the farm");
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();

  double work = 0.0;
  for (const double s : farm.seconds) work += s;
  const double longest = *std::max_element(farm.seconds.begin(), farm.seconds.end());
  const double ideal = work / world.size();
  // Without groups no schedule is shorter than its longest task.
  const double bound = groups ? ideal : std::max(ideal, longest);
  return {{"ranks", world.size()},      {"groups", groups},
          {"tasks", farm.graph.size()}, {"seconds", seconds},
          {"ideal_seconds", ideal},     {"longest_task_seconds", longest},
          {"bound", ideal / bound},     {"efficiency", ideal / seconds}};
}

int run(Communicator& world, const Settings& settings) {
  json runs = json::array();
  bool good = true;
  for (const bool groups : {false, true}) {
    const json run = measure(world, settings, groups);
    good = good && run.at("efficiency").get<double>() >= settings.at_least;
    runs.push_back(run);
  }
  if (world.rank() != 0) return 0;
  for (const auto& run : runs)
    fmt::print(
        "{:>2} ranks, {} trainings of {:.2f} s on average, {:<14} {:7.2f} s, ideal {:7.2f} s, longest {:5.2f} s: "
        "efficiency {:5.1f} % (bound {:5.1f} %)\n",
        world.size(), run.at("tasks").get<int>(), settings.seconds,
        run.at("groups").get<bool>() ? "with groups" : "without groups", run.at("seconds").get<double>(),
        run.at("ideal_seconds").get<double>(), run.at("longest_task_seconds").get<double>(),
        100.0 * run.at("efficiency").get<double>(), 100.0 * run.at("bound").get<double>());
  if (!settings.json_file.empty())
    write_file_atomically(settings.json_file, json{{"seconds_of_a_training", settings.seconds},
                                                   {"group_efficiency", settings.group_efficiency},
                                                   {"runs", runs}}
                                                      .dump(1) +
                                                  "\n");
  if (!good) fmt::print(stderr, "farm: less than {:.1f} % of the ideal efficiency\n", 100.0 * settings.at_least);
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"efficiency of the dispatcher with trainings that sleep"};
  app.add_option("--seconds", settings.seconds, "of a training, on average")->check(CLI::PositiveNumber);
  app.add_option("--patients", settings.patients, "four trainings for each")->check(CLI::PositiveNumber);
  app.add_option("--group-efficiency", settings.group_efficiency, "of ranks that share a training")
      ->check(CLI::Range(0.1, 1.0));
  app.add_option("--json", settings.json_file, "file to write");
  app.add_option("--at-least", settings.at_least, "end with 1 below this efficiency")->check(CLI::Range(0.0, 1.0));
  CLI11_PARSE(app, argc, argv);
  if (!started_under_mpi()) return run(*make_serial_communicator(), settings);
  MpiRuntime mpi(argc, argv);
  const auto world = mpi.world();
  return run(*world, settings);
}
