// The main() of every bench: measures the machine, then runs what is registered.
#include "bench/machine.hpp"
#include "core/parallel.hpp"

#include <fmt/format.h>

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("sgemm_rate",
                              fmt::format("{:.1f} GMAC/s on one core", perfpipe::bench::sgemm_rate() * 1e-9));
  benchmark::AddCustomContext("copy_bandwidth",
                              fmt::format("{:.1f} GB/s on one core", perfpipe::bench::copy_bandwidth() * 1e-9));
  benchmark::AddCustomContext("usable_cores", std::to_string(perfpipe::usable_cores()));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
