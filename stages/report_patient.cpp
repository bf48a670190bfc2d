// One patient's fold of the report.
#include "stages/report_sections.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr std::array<Colour, 3> outlines{{{0, 200, 255}, {255, 176, 0}, {120, 255, 120}}};
constexpr std::array<const char*, 3> outline_names{"blue", "orange", "green"};
constexpr int outline_scale = 4;  // pixels per voxel, so that an outline is thinner than a voxel

/// Draws pictures of one patient's volumes.
class PatientPictures {
 public:
  PatientPictures(const PatientView& view, const std::array<DisplayRange, 4>& ranges, std::int64_t slices)
      : view_(view),
        ranges_(ranges),
        nx_(view.extent[0]),
        ny_(view.extent[1]),
        shown_(view.kept.empty() ? slices_to_show(view.brain_mask, nx_ * ny_, slices) : view.shown) {
    for (const auto& maker : view.makers) makers_.push_back(&maker);
  }

  bool nothing_to_show() const { return shown_.empty(); }

  /// Truth, each maker's map, and each one's difference from the first.
  void add_maps(HtmlPage& page, Parameter p) const {
    const auto& range = ranges_[index(p)];
    const auto difference = difference_range(range);
    const std::string units(facts(p).units);
    std::vector<Panel> panels;
    std::vector<ColourLegend> legends{{std::string(facts(p).label), Palette::sequential, range, units}};
    if (!view_.truth.maps[index(p)].empty())
      panels.push_back({"Truth", row(view_.truth.maps[index(p)], Palette::sequential, range)});
    const MapSet* const reference = first_with(p);
    if (reference == nullptr) return;
    for (const MapSet* maker : makers_) {
      const auto& map = maker->maps[index(p)];
      if (map.empty()) continue;
      panels.push_back({maker_title(maker->label), row(map, Palette::sequential, range)});
      if (const auto& spread = maker->spreads[index(p)]; !spread.empty())
        panels.push_back(
            {maker_title(maker->label) + ", spread of its networks", row(spread, Palette::sequential, range)});
      if (maker == reference) continue;
      std::vector<float> gap(map.size());
      for (std::size_t i = 0; i < gap.size(); ++i) gap[i] = map[i] - reference->maps[index(p)][i];
      panels.push_back({maker_title(maker->label) + " − " + maker_title(reference->label),
                        row(gap, Palette::diverging, difference)});
      if (legends.size() == 1) legends.push_back({"difference", Palette::diverging, difference, units});
    }
    page.figure(panels, legends,
                fmt::format("{} ({}), slices {}.", facts(p).long_name, units, fmt::join(shown_, ", ")));
  }

  void add_masks(HtmlPage& page, Parameter p) const {
    const auto& masks = view_.masks[index(p)];
    const MapSet* const ground = first_with(p);
    if (masks.empty() || ground == nullptr) return;
    const std::size_t count = std::min(masks.size(), outlines.size());
    std::vector<Panel> panels;
    for (auto z : shown_) {
      Image8 image = grey(ground->maps[index(p)], z, ranges_[index(p)]);
      for (std::size_t m = 0; m < count; ++m) outline(image, masks[m].mask, z, outlines[m]);
      panels.push_back({fmt::format("Slice {}", z), std::move(image)});
    }
    std::string key;
    for (std::size_t m = 0; m < count; ++m)
      key += fmt::format("{}{} {}", m == 0 ? "" : ", ", maker_title(masks[m].label), outline_names[m]);
    page.figure(panels, {},
                fmt::format("{}: outlines of {}, on the {} map of {}.", view_.mask_titles[index(p)], key,
                            facts(p).label, maker_title(ground->label)));
  }

  /// The slice with most of the voxels that the AIF is the mean of.
  void add_aif_voxels(HtmlPage& page) const {
    const MapSet* const ground = first_with(Parameter::cbv);
    if (view_.aif_voxels.empty() || ground == nullptr) return;
    std::int64_t best = 0, most = 0, all = 0;
    for (std::int64_t z = 0; z < view_.extent[2]; ++z) {
      const auto here = aif_slice(z);
      const std::int64_t voxels = nx_ * ny_ - std::count(here.begin(), here.end(), 0);
      all += voxels;
      if (voxels <= most) continue;
      most = voxels;
      best = z;
    }
    Image8 image = grey(ground->maps[index(Parameter::cbv)], best, ranges_[index(Parameter::cbv)]);
    draw_outline(image, aif_slice(best), nx_, ny_, outline_scale, view_.flips, outlines[1]);
    page.figure(
        {{fmt::format("Slice {}", best), std::move(image)}}, {},
        fmt::format("Voxels of the arterial input function, on the CBV map: {} of {} in this slice.", most, all));
  }

 private:
  template <class T>
  std::span<const T> slice(const std::vector<T>& volume, std::int64_t z) const {
    const std::int64_t place =
        view_.kept.empty() ? z : std::lower_bound(view_.kept.begin(), view_.kept.end(), z) - view_.kept.begin();
    return std::span<const T>(volume).subspan(static_cast<std::size_t>(place * nx_ * ny_),
                                              static_cast<std::size_t>(nx_ * ny_));
  }
  std::span<const std::uint8_t> aif_slice(std::int64_t z) const {
    return std::span<const std::uint8_t>(view_.aif_voxels)
        .subspan(static_cast<std::size_t>(z * nx_ * ny_), static_cast<std::size_t>(nx_ * ny_));
  }
  const MapSet* first_with(Parameter p) const {
    const auto found =
        std::find_if(makers_.begin(), makers_.end(), [&](const MapSet* m) { return !m->maps[index(p)].empty(); });
    return found == makers_.end() ? nullptr : *found;
  }
  Image8 row(const std::vector<float>& map, Palette palette, const DisplayRange& range) const {
    std::vector<Image8> images;
    for (auto z : shown_)
      images.push_back(
          map_image({nx_, ny_, slice(map, z), slice(view_.brain_mask, z)}, palette, range, 1, view_.flips));
    // Slices below each other, makers beside each other: the same slice stands in one row.
    return montage(images, (static_cast<std::int64_t>(images.size()) + 2) / 3, 1);
  }
  Image8 grey(const std::vector<float>& map, std::int64_t z, const DisplayRange& range) const {
    return map_image({nx_, ny_, slice(map, z), slice(view_.brain_mask, z)}, Palette::grey, range, outline_scale,
                     view_.flips);
  }
  void outline(Image8& image, const std::vector<std::uint8_t>& mask, std::int64_t z, Colour colour) const {
    draw_outline(image, slice(mask, z), nx_, ny_, outline_scale, view_.flips, colour);
  }

  const PatientView& view_;
  const std::array<DisplayRange, 4>& ranges_;
  std::int64_t nx_, ny_;
  std::vector<std::int64_t> shown_;
  std::vector<const MapSet*> makers_;
};

}  // namespace

void add_patient(HtmlPage& page, const PatientView& view, const std::array<DisplayRange, 4>& ranges,
                 std::int64_t slices, bool open) {
  page.begin_fold(view.name, open);
  if (!view.facts.empty()) page.list(view.facts);
  for (const auto& warning : view.warnings) page.note(NoteKind::warning, warning);
  if (!view.aif.x.empty()) {
    std::vector<PlotLine> lines{view.aif};
    if (!view.aif_fit.x.empty()) lines.push_back(view.aif_fit);
    if (!view.mean_curve.x.empty()) lines.push_back(view.mean_curve);
    page.plot(svg_lines(lines, {"time (s)", "concentration (" + view.curve_units + ")"}), "Arterial input function.");
  }
  const PatientPictures pictures(view, ranges, slices);
  if (!pictures.nothing_to_show()) {
    for (Parameter p : all_parameters) pictures.add_maps(page, p);
    for (Parameter p : all_parameters) pictures.add_masks(page, p);
    pictures.add_aif_voxels(page);
  }
  page.end_fold();
}

}  // namespace perfpipe
