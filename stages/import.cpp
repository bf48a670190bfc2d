// import: a NIfTI series becomes concentration curves, frame times and a brain mask.
#include "core/arrays.hpp"
#include "core/parallel.hpp"
#include "core/slabs.hpp"
#include "core/stage.hpp"
#include "formats/kept_series.hpp"
#include "formats/nifti_image.hpp"
#include "stages/brain_mask.hpp"
#include "stages/concentration.hpp"
#include "stages/maps.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct ImportOptions {
  std::string mask = "auto";
};

/// Slabs of a series; a series that fits into one slab is read once, however many passes there are. A gzip'd one that
/// does not is inflated once, into the store's folder.
class SlabSource {
 public:
  SlabSource(const std::filesystem::path& image, const JobInfo& job)
      : reader_(image), slices_(reader_.slices_within(job.slab_bytes)), threads_(job.threads) {
    auto kept = take_kept_series(image);
    if (slices_ < reader_.extent()[2]) {
      reader_.inflate_into(job.output / "store");
    } else if (kept) {
      slab_ = std::move(*kept);
      z_ = 0;
      count_ = slices_;
    }
  }
  std::int64_t frames() const { return reader_.frames(); }
  std::int64_t slices() const { return slices_; }
  float ceiling() const { return reader_.info().header.ceiling(); }
  /// Mean edge of a voxel in the plane, mm.
  double in_plane_mm() const {
    const auto& affine = reader_.info().affine;
    const auto edge = [&](std::size_t axis) { return std::hypot(affine[0][axis], affine[1][axis], affine[2][axis]); };
    return 0.5 * (edge(0) + edge(1));
  }
  int threads() const { return threads_; }
  /// What was read last; the source is of no use after that.
  RawValues<float> take() { return std::move(slab_); }
  /// The caller may change what it gets if it does not ask for it again.
  RawValues<float>& read(std::int64_t z, std::int64_t count) {
    if (z != z_ || count != count_) reader_.read_slab(z, count, slab_, threads_);
    z_ = z;
    count_ = count;
    return slab_;
  }

 private:
  NiftiReader reader_;
  std::int64_t slices_;
  int threads_;
  RawValues<float> slab_;
  std::int64_t z_ = -1, count_ = -1;
};

class Import final : public StageWith<ImportOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "import";
    type.scope = Scope::patient;
    type.version = 5;
    type.summary =
        "Reads a series, drops frames out of steady state, finds the baseline, turns signal into concentration, finds "
        "the brain mask.";
    type.reference =
        "Ostergaard et al., Magn Reson Med 36:715 (1996): C = -(1/TE) ln(S/S0); CT: C = HU - HU0; mask of MR "
        "after Otsu (1979), of CT what of the soft tissue lies inside the skull";
    return type;
  }
  static OptionTable<ImportOptions> table() {
    OptionTable<ImportOptions> t;
    t.choice("mask", &ImportOptions::mask, {"auto", "file", "compute", "none"},
             "brain mask: auto (the mask beside the series if there is one, else computed), file (must be there), "
             "compute, none (all voxels)");
    return t;
  }

  Ports ports() const override { return {{}, {concentration_spec(), frame_times_spec(), brain_mask_spec()}}; }
  std::vector<std::filesystem::path> files(const TaskInfo& task, const Cohort& cohort) const override {
    const Series& series = cohort.series[static_cast<std::size_t>(task.series)];
    std::vector<std::filesystem::path> files{series.image};
    if (uses_mask_file(series)) files.push_back(series.mask);
    return files;
  }
  nlohmann::json key_facts(const TaskInfo& task, const Cohort& cohort) const override {
    const Series& s = cohort.series[static_cast<std::size_t>(task.series)];
    return {{"times", s.times},
            {"echo_time", s.echo_time},
            {"modality", s.modality == Modality::ct ? "ct" : "mr"},
            {"kind", s.kind == SeriesKind::concentration ? "concentration" : "signal"},
            {"baseline", s.baseline_frames},
            {"warnings", s.warnings}};
  }
  void check(const Cohort& cohort, Findings& findings) const override {
    for (const auto& series : cohort.series)
      if (options_.mask == "file" && series.mask.empty())
        findings.add(series.image.string(),
                     "import.mask = file, but there is no mask beside the series; add one "
                     "(..._desc-brain_mask.nii.gz), name it in the job (cohort.patients), or set import.mask: auto");
  }
  double cost(const TaskInfo&) const override { return 0.5; }

  void run(StageContext& context) const override {
    const Series& series = context.series();
    for (const auto& warning : series.warnings) context.warn(warning);
    SlabSource source(series.image, context.job());
    const Extent extent{series.extent[2], series.extent[1], series.extent[0]};
    const auto& [nz, ny, nx] = extent;
    const std::int64_t all_frames = source.frames();
    const bool signal = series.kind == SeriesKind::signal;

    std::vector<std::uint8_t> mask;
    if (uses_mask_file(series)) mask = read_mask(series);
    const bool computed = mask.empty() && options_.mask != "none";
    const bool hounsfield = signal && series.modality == Modality::ct;
    // On CT air and bone outweigh the brain: its mask comes first, from frames that lie before any bolus.
    if (computed && hounsfield)
      mask = compute_ct_brain_mask(mean_image(source, extent, 0, 3), extent, source.in_plane_mm());
    const auto mean_signal = mean_curve(source, extent, mask);
    const std::int64_t dropped = signal && series.modality == Modality::mr ? unsteady_frames(mean_signal) : 0;
    if (dropped > 0)
      context.log().info(
          fmt::format("{}: {} leading frame(s) out of steady state dropped", context.task().id(), dropped));
    const std::span<const double> steady(mean_signal.data() + dropped, static_cast<std::size_t>(all_frames - dropped));
    const std::int64_t baseline =
        signal ? (series.baseline_frames > 0 ? std::min<std::int64_t>(series.baseline_frames, all_frames - dropped)
                                             : baseline_frames(steady))
               : 0;

    if (computed && !hounsfield)
      mask = compute_brain_mask(mean_image(source, extent, dropped, signal ? baseline : all_frames - dropped), extent);
    if (mask.empty()) mask.assign(static_cast<std::size_t>(nz * ny * nx), 1);
    const auto mask_voxels = std::count_if(mask.begin(), mask.end(), [](auto m) { return m != 0; });
    if (mask_voxels == 0)
      throw InputError(
          series.image.string() +
          ": the computed brain mask is empty; give a mask beside the series (..._desc-brain_mask.nii.gz)");

    const std::int64_t frames = all_frames - dropped;
    auto& output = context.output();
    output.create(concentration_spec(), {nz, ny, nx, frames});
    std::int64_t bad = 0;
    const float ceiling = source.ceiling();
    std::vector<double> mean_concentration(static_cast<std::size_t>(frames), 0.0);
    WriteBehind writer(context.job().threads);
    // The series comes in thick slabs and is worked on in thin ones. Concentrations take the place of the signal: other
    // memory would cost as much time as they do.
    const std::int64_t thin = context.slab_slices(ny * nx * frames * static_cast<std::int64_t>(sizeof(float)));
    for (std::int64_t z = 0, count = 0; z < nz; z += count) {
      const std::int64_t thick = z / source.slices() * source.slices();
      const std::int64_t thick_count = std::min(source.slices(), nz - thick);
      count = std::min(thin, thick + thick_count - z);
      const auto voxels = static_cast<std::size_t>(count * ny * nx);
      if (z == thick) writer.finish();  // of the slab that the next one takes the place of
      const auto slab = std::span<float>(source.read(thick, thick_count))
                            .subspan(static_cast<std::size_t>((z - thick) * ny * nx * all_frames));
      std::uint8_t* const slab_mask = mask.data() + z * ny * nx;
      const auto curve_of = [&](std::size_t v) {
        return slab.subspan(v * static_cast<std::size_t>(all_frames) + static_cast<std::size_t>(dropped),
                            static_cast<std::size_t>(frames));
      };
      parallel_blocks(voxels, 4096, context.job().threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t v = begin; v < end; ++v) {
          const auto curve = curve_of(v);
          if (slab_mask[v] != 0 && to_concentration(series, baseline, ceiling, curve)) continue;
          std::fill(curve.begin(), curve.end(), 0.0f);
          if (slab_mask[v] != 0) slab_mask[v] = 2;  // left out of the mask below
        }
      });
      parallel_sums(voxels, static_cast<std::size_t>(ny * nx), context.job().threads, mean_concentration,
                    [&](std::size_t begin, std::size_t end, std::span<double> sum) {
                      for (std::size_t v = begin; v < end; ++v)
                        if (slab_mask[v] == 1) add_to(sum, curve_of(v));
                    });
      for (std::size_t v = 0; v < voxels; ++v) {
        bad += slab_mask[v] == 2;
        slab_mask[v] = slab_mask[v] == 1;
      }
      if (dropped > 0)  // without gaps
        for (std::size_t v = 0; v < voxels; ++v)
          std::ranges::copy(curve_of(v),
                            slab.begin() + static_cast<std::ptrdiff_t>(v * static_cast<std::size_t>(frames)));
      const auto concentration = slab.first(voxels * static_cast<std::size_t>(frames));
      writer.start([&output, z, concentration] { output.write_slab<float>("concentration", z, concentration); });
    }
    writer.finish();
    if (source.slices() == nz && dropped == 0)
      output.keep("concentration", std::make_shared<RawValues<float>>(source.take()), context.job().slab_bytes);
    report_bad_voxels(context, series, bad, mask_voxels);
    for (auto& c : mean_concentration) c /= static_cast<double>(mask_voxels - bad);

    const std::vector<double> times(series.times.begin() + dropped, series.times.end());
    output.write<double>(frame_times_spec(), {frames}, times);
    output.write<std::uint8_t>(brain_mask_spec(), {nz, ny, nx}, mask);
    const double arrival = times[static_cast<std::size_t>(bolus_arrival(mean_concentration))];
    output.set_metadata({{"dropped_frames", dropped},
                         {"baseline_frames", baseline},
                         {"mask", computed                 ? "computed"
                                  : uses_mask_file(series) ? "file"
                                                           : "none"},
                         {"mask_voxels", mask_voxels - bad},
                         {"excluded_voxels", bad},
                         {"bolus_arrival_s", arrival},
                         {"mean_concentration", mean_concentration},
                         {"voxel_volume_ml", series.voxel_volume_ml},
                         {"warnings", context.warnings()}});
  }

 private:
  bool uses_mask_file(const Series& series) const {
    return !series.mask.empty() && (options_.mask == "auto" || options_.mask == "file");
  }

  /// In its own place; false if the curve cannot be used.
  static bool to_concentration(const Series& series, std::int64_t baseline, float ceiling, std::span<float> curve) {
    if (series.kind != SeriesKind::signal) return all_finite(curve);
    return series.modality == Modality::ct ? concentration_ct(curve, baseline, ceiling, curve)
                                           : concentration_mr(curve, baseline, series.echo_time, ceiling, curve);
  }

  static std::vector<std::uint8_t> read_mask(const Series& series) {
    NiftiReader reader(series.mask);
    RawValues<float> values;
    reader.read_slab(0, reader.extent()[2], values);
    std::vector<std::uint8_t> mask(values.size());
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = values[i] > 0.5f;
    return mask;
  }

  /// Mean over the mask (all voxels where there is none yet: the background is dark and nearly constant) for each
  /// frame.
  static std::vector<double> mean_curve(SlabSource& source, const Extent& extent,
                                        const std::vector<std::uint8_t>& mask) {
    const auto& [nz, ny, nx] = extent;
    const auto frames = static_cast<std::size_t>(source.frames());
    std::vector<double> mean(frames + 1, 0.0);  // and the number of voxels
    for (std::int64_t z = 0; z < nz; z += source.slices()) {
      const std::int64_t count = std::min(source.slices(), nz - z);
      const std::span<const float> slab = source.read(z, count);
      parallel_sums(static_cast<std::size_t>(count * ny * nx), static_cast<std::size_t>(ny * nx), source.threads(),
                    mean, [&](std::size_t begin, std::size_t end, std::span<double> sum) {
                      for (std::size_t v = begin; v < end; ++v) {
                        if (!mask.empty() && mask[static_cast<std::size_t>(z * ny * nx) + v] == 0) continue;
                        const auto curve = slab.subspan(v * frames, frames);
                        if (!all_finite(curve)) continue;
                        add_to(sum.first(frames), curve);
                        sum[frames] += 1.0;
                      }
                    });
    }
    const double voxels = std::max(mean.back(), 1.0);
    mean.pop_back();
    for (auto& m : mean) m /= voxels;
    return mean;
  }

  /// Mean of `count` frames from `first` on, (z, y, x).
  static std::vector<float> mean_image(SlabSource& source, const Extent& extent, std::int64_t first,
                                       std::int64_t count) {
    const auto& [nz, ny, nx] = extent;
    std::vector<float> image(static_cast<std::size_t>(nz * ny * nx));
    for (std::int64_t z = 0; z < nz; z += source.slices()) {
      const std::int64_t slices = std::min(source.slices(), nz - z);
      const auto& slab = source.read(z, slices);
      parallel_blocks(static_cast<std::size_t>(slices * ny * nx), 4096, source.threads(),
                      [&](std::size_t begin, std::size_t end) {
                        for (std::size_t v = begin; v < end; ++v) {
                          const float* const curve = slab.data() + static_cast<std::int64_t>(v) * source.frames();
                          image[static_cast<std::size_t>(z * ny * nx) + v] = static_cast<float>(
                              std::accumulate(curve + first, curve + first + count, 0.0) / static_cast<double>(count));
                        }
                      });
    }
    return image;
  }

  static void report_bad_voxels(StageContext& context, const Series& series, std::int64_t bad, std::int64_t all) {
    const double share = static_cast<double>(bad) / static_cast<double>(all);
    const char* const unusable = series.kind == SeriesKind::signal && series.modality == Modality::mr
                                     ? "not finite, zero, negative or saturated"
                                     : "not finite or saturated";
    if (share > 0.5)
      throw InputError(
          fmt::format("{}: {} of the mask's {} voxels ({:.1f} %) hold samples that are {}; at most 50 % are accepted; "
                      "check the series or its mask",
                      series.image.string(), bad, all, 100.0 * share, unusable));
    const auto text =
        fmt::format("{} of the mask's {} voxels ({:.2f} %) hold samples that are {}; they are left out of the mask",
                    bad, all, 100.0 * share, unusable);
    if (share > 0.01)
      context.warn(text);
    else if (bad > 0)
      context.log().info(context.task().id() + ": " + text);
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(import, Import)

}  // namespace perfpipe
