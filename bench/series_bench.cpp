// Time of import and interpolation of a 128x128x20x60 series on one core, beside that of only reading the same bytes
// and writing the same datasets: `floor` is the one over the other, in this thread's own time, least of each.
#include "bench/machine.hpp"
#include "core/random.hpp"
#include "core/stage.hpp"
#include "formats/nifti_image.hpp"
#include "stages/maps.hpp"
#include "stages/registry.hpp"

#include <cmath>
#include <unistd.h>

namespace perfpipe::bench {
namespace {

constexpr std::int64_t nx = 128, ny = 128, nz = 20, frames = 60;
constexpr double repetition_time = 1.5;

/// A folder that goes when the program ends, with a series in it and what each stage leaves.
class Workplace {
 public:
  Workplace() : folder_(std::filesystem::temp_directory_path() / ("perfpipe-bench-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    Series series;
    series.name = series.subject = "sub-01";
    series.image = folder_ / "sub-01_dsc.nii";
    series.extent = {nx, ny, nz};
    series.repetition_time = repetition_time;
    series.echo_time = 0.03;
    for (std::int64_t t = 0; t < frames; ++t) series.times.push_back(repetition_time * static_cast<double>(t));
    cohort_.series.push_back(series);
    job_.output = folder_;
    Random random(1, "series bench");
    std::vector<float> signal;
    for (std::int64_t v = 0; v < nx * ny * nz; ++v) {
      const double x = static_cast<double>(v % nx) - 63.5, y = static_cast<double>(v / nx % ny) - 63.5;
      const bool inside = std::hypot(x, y) < 50.0;
      for (std::int64_t t = 0; t < frames; ++t) {
        const double s = std::max(0.0, static_cast<double>(t) - 10.0) / 4.0;
        const double c = 0.1 * std::pow(s, 3.0) * std::exp(3.0 - 3.0 * s);
        signal.push_back(
            static_cast<float>(std::round((inside ? 900.0 * std::exp(-c) : 20.0) + 8.0 * random.normal())));
      }
    }
    write_nifti_series(
        series.image, signal,
        make_nifti_header({nx, ny, nz}, frames, repetition_time, centred_affine({nx, ny, nz}, {2, 2, 5})), "bench");
  }
  ~Workplace() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  const std::filesystem::path& image() const { return cohort_.series[0].image; }
  std::filesystem::path artifact(const std::string& stage) const { return folder_ / (stage + ".h5"); }

  void run(const std::string& type, const std::vector<TaskInput>& inputs) {
    TaskInfo task;
    task.stage = type;
    task.name = task.subject = "sub-01";
    task.scope = Scope::patient;
    task.series = 0;
    ArtifactWriter output(artifact(type), "key", nullptr);
    StageContext context(task, job_, cohort_, StoreView(task.id(), "", inputs), output, log_, [] { return false; });
    stage(type).run(context);
    output.commit();
  }

 private:
  const Stage& stage(const std::string& type) {
    auto& made = stages_[type];
    if (made) return *made;
    for (const auto& known : all_stage_types())
      if (known.name == type) {
        Findings findings;
        made = known.configure(parse_config("{}", "bench"), findings);
      }
    return *made;
  }

  std::filesystem::path folder_;
  Cohort cohort_;
  JobInfo job_;
  Log log_{1};
  std::map<std::string, std::unique_ptr<Stage>> stages_;
};

Workplace& workplace() {
  static Workplace one;
  return one;
}

TaskInput imported() {
  TaskInfo task;
  task.stage = "import";
  task.name = task.subject = "sub-01";
  return {task, workplace().artifact("import"), ""};
}

std::vector<TaskInput> inputs_of_interpolation() {
  std::vector<TaskInput> inputs{imported(), imported()};
  inputs[0].port = "concentration";
  inputs[1].port = "frame_times";
  return inputs;
}

void write(const DatasetSpec& spec, const std::vector<float>& values, std::int64_t last) {
  ArtifactWriter output(workplace().artifact("floor"), "key", nullptr);
  output.write<float>(spec, {nz, ny, nx, last}, values);
  output.commit();
}

void beside(benchmark::State& state, const std::function<void()>& work, const std::function<void()>& floor) {
  double least = 1e9, least_floor = 1e9;
  for (auto _ : state) {
    least_floor = std::min(least_floor, own_seconds_of(floor));
    const double seconds = own_seconds_of(work);
    state.SetIterationTime(seconds);
    least = std::min(least, seconds);
  }
  state.counters["floor"] = least / least_floor;
  state.counters["floor_ms"] = 1e3 * least_floor;
}

void import_128x128x20x60(benchmark::State& state) {
  beside(
      state, [] { workplace().run("import", {}); },
      [] {
        NiftiReader reader(workplace().image());
        std::vector<float> values;
        reader.read_slab(0, nz, values);
        write(concentration_spec(), values, frames);
      });
}
BENCHMARK(import_128x128x20x60)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);

void interpolation_128x128x20x60(benchmark::State& state) {
  workplace().run("import", {});
  beside(
      state, [] { workplace().run("interpolation", inputs_of_interpolation()); },
      [] {
        ArtifactReader reader(workplace().artifact("import"));
        auto values = reader.read<float>("concentration");
        values.resize(static_cast<std::size_t>(nz * ny * nx * 70));
        write(tissue_curves_spec(), values, 70);
      });
}
BENCHMARK(interpolation_128x128x20x60)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);

}  // namespace
}  // namespace perfpipe::bench
