#include "stages/aif_marks.hpp"

#include "formats/nifti_image.hpp"

#include <fmt/format.h>

namespace perfpipe {
namespace {

const std::vector<Point>* voxels_of(const PointsByName& voxels, const Series& series) {
  for (const auto& name :
       {series.name, series.subject, series.name.substr(series.name.starts_with("sub-") ? 4 : 0), std::string()})
    if (const auto found = voxels.find(name); found != voxels.end()) return &found->second;
  return nullptr;
}

}  // namespace

std::filesystem::path for_series(std::string pattern, const Series& series) {
  for (auto at = pattern.find("{}"); at != std::string::npos; at = pattern.find("{}", at + series.name.size()))
    pattern.replace(at, 2, series.name);
  return pattern;
}

void check_roi(const std::string& roi, const Series& series, Findings& findings) {
  if (roi.empty()) {
    findings.add(series.image.string(),
                 "aif.method = roi, but aif.roi is empty; name a NIfTI mask ({} stands for the "
                 "series' name)");
    return;
  }
  const auto file = for_series(roi, series);
  try {
    const auto extent = NiftiReader(file).extent();
    if (extent != series.extent)
      findings.add(file.string(), fmt::format("a mask of {}x{}x{} voxels, and the series {} has {}x{}x{}; draw it on "
                                              "the series",
                                              extent[0], extent[1], extent[2], series.name, series.extent[0],
                                              series.extent[1], series.extent[2]));
  } catch (const Error& error) {
    findings.add(file.string(), error.what());
  }
}

std::vector<std::uint8_t> roi_flags(const std::string& roi, const Series& series, std::size_t voxels) {
  NiftiReader reader(for_series(roi, series));
  std::vector<float> values;
  reader.read_slab(0, reader.extent()[2], values);
  std::vector<std::uint8_t> flags(voxels, 0);
  for (std::size_t v = 0; v < voxels; ++v) flags[v] = values[v] > 0.5f;
  return flags;
}

void check_voxels(const PointsByName& voxels, const Series& series, Findings& findings) {
  const auto* const points = voxels_of(voxels, series);
  if (points == nullptr) {
    findings.add(series.image.string(), "aif.method = voxels, but aif.voxels has none for " + series.name +
                                            "; give [[x, y, z], ...], or a map from patients to such lists");
    return;
  }
  for (const auto& p : *points)
    for (std::size_t axis = 0; axis < 3; ++axis)
      if (p[axis] >= series.extent[axis])
        findings.add(series.image.string(),
                     fmt::format("aif.voxels: [{}, {}, {}] lies outside the series of {}x{}x{} voxels (counted from 0)",
                                 p[0], p[1], p[2], series.extent[0], series.extent[1], series.extent[2]));
}

std::vector<std::uint8_t> voxel_flags(const PointsByName& voxels, const Series& series, const Extent& extent) {
  std::vector<std::uint8_t> flags(static_cast<std::size_t>(extent[0] * extent[1] * extent[2]), 0);
  for (const auto& p : *voxels_of(voxels, series))
    flags[static_cast<std::size_t>((p[2] * extent[1] + p[1]) * extent[2] + p[0])] = 1;
  return flags;
}

}  // namespace perfpipe
