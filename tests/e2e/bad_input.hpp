// A cohort with something wrong in it: what refused and warned jobs have in common.
#pragma once

#include "tests/e2e/job_files.hpp"

#include <cmath>
#include <limits>

namespace perfpipe {

class BadInput : public testing::Test {
 protected:
  BadInput() { folder_.write("job.yaml", maps_job); }

  CommandResult run(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), "job.yaml");
    return run_perfpipe(folder_, arguments, 30.0);
  }
  /// The run was refused, with one line of all these pieces, and has left nothing.
  testing::AssertionResult refused(const CommandResult& result, const std::vector<std::string>& pieces) {
    if (std::filesystem::exists(folder_ / "out"))
      return testing::AssertionFailure() << "a refused job has created its output";
    return ended(result, 3, pieces);
  }
  /// One patient, sub-01, of this image; refused with these pieces after the file's name.
  void expect_refused(const NiftiBuilder& image, std::vector<std::string> pieces,
                      const std::string& sidecar = small_sidecar) {
    write_patient(folder_, "sub-01", image, sidecar);
    pieces.insert(pieces.begin(), "sub-01_dsc.nii");
    EXPECT_TRUE(refused(run(), pieces));
  }
  void expect_sidecar_refused(const std::string& sidecar, std::vector<std::string> pieces) {
    write_patient(folder_, "sub-01", small_series(), sidecar);
    pieces.insert(pieces.begin(), "sub-01_dsc.json");
    EXPECT_TRUE(refused(run(), pieces));
  }
  /// A warning that does not stop: on the terminal, in the log, in the maps' sidecars.
  void expect_warned(const std::vector<std::string>& pieces, const std::string& patient = "sub-01") {
    const auto result = run();
    EXPECT_TRUE(ended(result, 0, pieces));
    EXPECT_TRUE(has_line(lines_of(file_bytes(folder_ / "out/logs/rank-000.jsonl")), pieces)) << "not in the log";
    const auto sidecar =
        file_bytes(folder_ / ("out/derivatives/" + patient + "/perf/" + patient + "_desc-bsvd_cbf.json"));
    EXPECT_TRUE(has_line(lines_of(sidecar), pieces)) << "not in the map's sidecar:\n" << sidecar;
    std::filesystem::remove_all(folder_ / "out");
  }
  static NiftiBuilder mask() {
    NiftiBuilder image = small_series();
    image.dim = {16, 16, 2};
    image.datatype = 2;
    image.value = [](std::size_t i) {
      return std::hypot(static_cast<double>(i % 16) - 7.5, static_cast<double>(i / 16 % 16) - 7.5) < 7.0 ? 1.0 : 0.0;
    };
    return image;
  }
  void expect_mask_refused(const NiftiBuilder& image, std::vector<std::string> pieces) {
    write_patient(folder_, "sub-01", small_series());
    image.write(folder_, stem_of("sub-01") + "_desc-brain_mask.nii.gz");
    pieces.insert(pieces.begin(), "sub-01_desc-brain_mask.nii.gz");
    EXPECT_TRUE(refused(run(), pieces));
  }

  TempFolder folder_;
};

}  // namespace perfpipe
