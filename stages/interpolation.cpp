// interpolation: concentration at the acquired times -> tissue curves on the uniform grid that networks need.
#include "core/parallel.hpp"
#include "core/slabs.hpp"
#include "core/stage.hpp"
#include "stages/input_ranges.hpp"
#include "stages/maps.hpp"
#include "stages/resampling.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct InterpolationOptions {
  double dt = 1.0;
  std::int64_t samples = 70;
  std::string method = "linear";
  double lead = 10.0;
};

class Interpolation final : public StageWith<InterpolationOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "interpolation";
    type.scope = Scope::patient;
    type.version = 3;
    type.summary = "Resamples the concentration curves to a uniform time grid by their true acquisition times.";
    type.reference = "Ho et al., ICPR 2016, section V.A: 70 samples of 1 s";
    return type;
  }
  static OptionTable<InterpolationOptions> table() {
    OptionTable<InterpolationOptions> t;
    t.number("dt", &InterpolationOptions::dt, {0.1, 10.0}, "s", "distance of the samples");
    t.integer("samples", &InterpolationOptions::samples, {10, 2000}, "", "number of samples; the networks need 70");
    t.choice("method", &InterpolationOptions::method, {"linear", "cubic"}, "linear, or cubic Hermite");
    t.number("lead", &InterpolationOptions::lead, {0.0, 60.0}, "s",
             "a series longer than the grid starts this long before its bolus arrives");
    return t;
  }

  Ports ports() const override {
    return {{{concentration_spec()}, {frame_times_spec()}}, {tissue_curves_spec(options_.samples)}};
  }
  double cost(const TaskInfo&) const override { return 0.3; }

  void run(StageContext& context) const override {
    const auto input = context.store().open("concentration");
    const auto times = input.read<double>("frame_times");
    const auto dims = input.dims("concentration");
    const std::int64_t nz = dims[0], plane = dims[1] * dims[2], frames = dims[3], samples = options_.samples;
    const auto choice = choose_grid(times, options_.dt, samples, input.metadata().at("bolus_arrival_s"), options_.lead);
    if (choice.held_seconds > 0.0)
      context.warn(fmt::format("the series ends {:.1f} s before the {:.1f} s window does; its last value is held",
                               choice.held_seconds, options_.dt * static_cast<double>(samples)));
    if (choice.skipped_seconds > 0.0)
      context.log().info(fmt::format("{}: the window starts {:.1f} s after the first frame, {:.1f} s before the bolus",
                                     context.task().id(), choice.skipped_seconds, options_.lead));

    const Resampler resampler(times, choice.grid, options_.method == "cubic");
    auto& output = context.output();
    output.create(tissue_curves_spec(), {nz, dims[1], dims[2], samples});
    const std::int64_t step =
        context.slab_slices(plane * (frames + samples) * static_cast<std::int64_t>(sizeof(float)));
    WriteBehind writer(context.job().threads);
    const auto read = [&](std::int64_t z, std::int64_t count) { return input.read_slices("concentration", z, count); };
    // Curves that fit into one slab of a series stay in memory for the stages behind.
    const auto curve_slice = static_cast<std::size_t>(plane * samples);
    std::shared_ptr<RawValues<float>> whole;
    if (static_cast<std::size_t>(nz) * curve_slice * sizeof(float) <= context.job().slab_bytes)
      whole = std::make_shared<RawValues<float>>(static_cast<std::size_t>(nz) * curve_slice);
    for_each_slab(nz, step, context.job().threads, read, [&](std::int64_t z, std::int64_t count, const auto& slab) {
      RawValues<float> own;
      if (!whole) own.resize(static_cast<std::size_t>(count) * curve_slice);
      const auto curves = whole ? std::span(*whole).subspan(static_cast<std::size_t>(z) * curve_slice,
                                                            static_cast<std::size_t>(count) * curve_slice)
                                : std::span(own);
      parallel_blocks(static_cast<std::size_t>(count * plane), 4096, context.job().threads,
                      [&](std::size_t begin, std::size_t end) {
                        for (std::size_t v = begin; v < end; ++v) {
                          const std::span<const float> curve(slab.data() + v * static_cast<std::size_t>(frames),
                                                             static_cast<std::size_t>(frames));
                          const std::span<float> resampled(curves.data() + v * static_cast<std::size_t>(samples),
                                                           static_cast<std::size_t>(samples));
                          // Outside the brain all is zero, and stays so.
                          if (curve.front() == 0.0f && std::count(curve.begin(), curve.end(), 0.0f) == frames)
                            std::fill(resampled.begin(), resampled.end(), 0.0f);
                          else
                            resampler.apply(curve, resampled);
                        }
                      });
      writer.start(
          [&output, z, curves, held = std::move(own)] { output.write_slab<float>("tissue_curves", z, curves); });
    });
    writer.finish();
    if (whole) output.keep("tissue_curves", std::move(whole), context.job().slab_bytes);
    const auto acquired = acquisition(times);
    output.set_metadata({{"start_s", choice.grid.start},
                         {"dt_s", options_.dt},
                         {"held_s", choice.held_seconds},
                         {"acquired_interval_s", acquired.interval_s},
                         {"acquired_window_s", acquired.window_s},
                         {"warnings", context.warnings()}});
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(interpolation, Interpolation)

}  // namespace perfpipe
