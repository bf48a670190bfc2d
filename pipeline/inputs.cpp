#include "pipeline/inputs.hpp"

#include "core/atomic_file.hpp"
#include "core/hash.hpp"
#include "formats/nifti_file.hpp"
#include "formats/value_check.hpp"

#include <algorithm>
#include <fstream>
#include <sys/stat.h>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

/// Changes whenever the file's content may have changed.
std::string stamp(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return "";
  return fmt::format("{}/{}.{:09d}/{}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino);
}

fs::path cache_path(const Job& job) { return job.output / "store" / "inputs.json"; }

json read_cache(const Job& job) {
  std::ifstream stream(cache_path(job));
  json cache = stream ? json::parse(stream, nullptr, false) : json::object();
  return cache.is_object() ? cache : json::object();
}

/// What a verdict on a series depends on besides the bytes of its files.
std::string verdict_key(const Series& series) {
  Cohort one;
  one.series.push_back(series);
  return hash128(to_json(one).dump() + stamp(series.image) + stamp(series.mask));
}

/// Judges the values of one series; {"findings": [...], "warnings": [...]}.
json judge(const Job& job, const Series& series, int threads) {
  try {
    // In a run the output folder is there, and room for the series will be needed in it anyway.
    const auto store = job.output / "store";
    const ValueCheck check = check_series_values(series, static_cast<std::size_t>(job.slab_mebibytes) << 20,
                                                 fs::is_directory(store) ? store : fs::path(), threads);
    return {{"findings", check.findings.lines()}, {"warnings", check.warnings}};
  } catch (const InputError& error) {
    // What ends early is told with both sizes, which only the whole stream shows.
    Findings findings;
    std::vector<std::string> warnings;
    check_nifti_file(series.image, findings, warnings);
    if (findings.empty()) findings.add(series.image.string(), error.what());
    return {{"findings", findings.lines()}, {"warnings", warnings}};
  }
}

json hash_entry(const fs::path& file, const json& cache, int threads) {
  const std::string now = stamp(file);
  const auto known = cache.find("file " + file.string());
  if (!now.empty() && known != cache.end() && known->value("stamp", "") == now) return *known;
  try {
    return {{"stamp", now}, {"hash", hash_file(file, 0, threads)}};
  } catch (const IoError& error) {
    throw InputError(error.what());
  }
}

/// What the stages need of the series, those that are `unusable` for other reasons included. Under `on_error: skip` a
/// series that a patient's stage cannot use is left out, unless that stage finds fault without any series: then the job
/// is wrong.
void check_stages(const Job& job, Cohort& cohort, const std::vector<Series>& unusable, Findings& findings) {
  const auto problems_of = [&](const std::vector<Series>& series) {
    Cohort part = cohort;
    part.series = series;
    Findings found;
    for (const auto& instance : job.stages)
      if (instance.type.scope == Scope::patient) instance.stage->check(part, found);
    return found;
  };
  if (job.cohort.on_error == "skip" && problems_of({}).empty())
    std::erase_if(cohort.series, [&](const Series& series) {
      const Findings found = problems_of({series});
      if (!found.empty()) cohort.skipped.push_back({series.name, join(found.lines(), "; ")});
      return !found.empty();
    });
  Cohort all = cohort;
  all.series.insert(all.series.end(), unusable.begin(), unusable.end());
  for (const auto& instance : job.stages) instance.stage->check(all, findings);
}

}  // namespace

CheckedInputs check_inputs(const Job& job, Communicator& communicator, int threads) {
  CheckedInputs inputs;
  Findings findings;
  json plan_of_checks;
  if (communicator.rank() == 0) {
    for (const auto& instance : job.stages)
      if (const auto simulated = instance.stage->simulated_cohort()) inputs.cohort = *simulated;
    if (inputs.cohort.series.empty()) {
      std::vector<Series> unusable;
      inputs.cohort = scan_cohort(job.cohort, findings, unusable);
      if (!inputs.cohort.series.empty() || !unusable.empty()) check_stages(job, inputs.cohort, unusable, findings);
      if (inputs.cohort.series.empty()) findings.throw_if_any(ExitCode::input);
    }
    // Where something is wrong already, the values of the other series are still judged: all findings are told at once.
    plan_of_checks = {{"cohort", to_json(inputs.cohort)}, {"cache", read_cache(job)}, {"hash", findings.empty()}};
  }
  plan_of_checks = json::parse(communicator.broadcast(plan_of_checks.dump(), 0, "the cohort"));
  inputs.cohort = cohort_from_json(plan_of_checks.at("cohort"));
  const json& cache = plan_of_checks.at("cache");

  // Every rank reads its share: values of series, hashes of files. An error here is reported by rank 0 with all others.
  json mine{{"values", json::object()}, {"files", json::object()}, {"errors", json::array()}};
  const auto mine_to_do = [&](std::size_t i) {
    return static_cast<int>(i % static_cast<std::size_t>(communicator.size())) == communicator.rank();
  };
  for (std::size_t i = 0; i < inputs.cohort.series.size(); ++i) {
    const Series& series = inputs.cohort.series[i];
    if (!mine_to_do(i) || series.image.empty()) continue;
    const std::string key = verdict_key(series);
    const auto known = cache.find("series " + series.name);
    json verdict = known != cache.end() && known->value("key", "") == key ? *known : judge(job, series, threads);
    verdict["key"] = key;
    mine["values"][series.name] = std::move(verdict);
  }
  const auto files = plan_of_checks.at("hash") ? external_files(job, inputs.cohort) : std::vector<fs::path>();
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!mine_to_do(i)) continue;
    try {
      mine["files"][files[i].string()] = hash_entry(files[i], cache, threads);
    } catch (const InputError& error) {
      mine["errors"].push_back(error.what());
    }
  }
  const auto parts = communicator.gather(mine.dump(), 0, "checks of the inputs");

  json result;
  if (communicator.rank() == 0) {
    json new_cache = json::object();
    Cohort kept = inputs.cohort;
    kept.series.clear();
    json values = json::object(), hashes = json::object();
    for (const auto& part : parts) {
      const json answer = json::parse(part);
      values.update(answer.at("values"));
      hashes.update(answer.at("files"));
      for (const auto& error : answer.at("errors")) findings.add("input", error.get<std::string>());
    }
    for (Series series : inputs.cohort.series) {
      if (values.contains(series.name)) {
        const json& verdict = values[series.name];
        new_cache["series " + series.name] = verdict;
        for (const auto& warning : verdict.at("warnings")) series.warnings.push_back(warning);
        if (!verdict.at("findings").empty()) {
          if (job.cohort.on_error == "skip") {
            kept.skipped.push_back({series.name, join(verdict.at("findings").get<std::vector<std::string>>(), "; ")});
            continue;
          }
          Findings of_series;
          for (const auto& line : verdict.at("findings")) {
            const auto text = line.get<std::string>();
            const auto colon = text.find(": ");
            of_series.add(text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 2));
          }
          findings.merge(of_series);
        }
      }
      kept.series.push_back(std::move(series));
    }
    findings.throw_if_any(ExitCode::input);
    if (kept.series.empty()) {
      std::string reasons;
      for (const auto& skipped : kept.skipped) reasons += "\n" + skipped.name + ": " + skipped.reason;
      throw InputError(job.cohort.path.string() + ": no series is usable, all were skipped:" + reasons);
    }
    check_stages(job, kept, {}, findings);
    findings.throw_if_any(ExitCode::input);
    for (const auto& [file, entry] : hashes.items()) new_cache["file " + file] = entry;
    if (new_cache != cache && fs::is_directory(cache_path(job).parent_path()))
      write_file_atomically(cache_path(job), new_cache.dump(1));
    result = {{"cohort", to_json(kept)}, {"hashes", json::object()}};
    for (const auto& [file, entry] : hashes.items()) result["hashes"][file] = entry.at("hash");
  }
  result = json::parse(communicator.broadcast(result.dump(), 0, "the checked cohort"));
  inputs.cohort = cohort_from_json(result.at("cohort"));
  inputs.hashes = result.at("hashes").get<FileHashes>();
  return inputs;
}

}  // namespace perfpipe
