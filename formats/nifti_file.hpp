// Checks of a NIfTI file as a whole, before any memory is taken on its header's word.
#pragma once

#include "core/error.hpp"
#include "formats/nifti_geometry.hpp"
#include "formats/nifti_header.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// A file that passed the checks.
struct NiftiFileInfo {
  std::filesystem::path path;
  NiftiHeader header;
  Affine affine{};  ///< voxel indices to mm
  bool gzipped = false;
};

/// How far a gzip'd file is checked: its header alone; also whether gzip could hold as much as the header asks for (the
/// rest shows when the data are read: NiftiReader::check_end); the whole stream (CRC, length, size of the data).
enum class GzipCheck { header, plausible, whole };

/// All NIfTI rules: kind of file, name against content, header, geometry, size of the data against the file (gzip: by
/// streaming it in constant memory). Symbolic links are followed. Every breach is a finding that names the file.
std::optional<NiftiFileInfo> check_nifti_file(const std::filesystem::path& path, Findings& findings,
                                              std::vector<std::string>& warnings,
                                              GzipCheck gzip_check = GzipCheck::whole);

/// Whether the centres of the corner voxels of both grids are within 0.1 mm; says in `difference` what differs: the
/// shapes or the distance.
bool same_nifti_grid(const NiftiFileInfo& a, const NiftiFileInfo& b, std::string& difference);

/// True for names that end in .nii or .nii.gz.
bool has_nifti_name(const std::filesystem::path& path);

/// File name without .nii or .nii.gz.
std::string nifti_stem(const std::filesystem::path& path);

}  // namespace perfpipe
