// Holds the sources to the layers: core <- formats <- cluster <- model <- stages <- pipeline.
#include "tests/temp_folder.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

/// What each folder may include of ours. Narrower than the order alone: model knows no file formats, stages no ranks.
const std::map<std::string, std::set<std::string>> allowed_folders{
    {"core", {"core"}},
    {"formats", {"core", "formats"}},
    {"cluster", {"core", "cluster"}},
    {"model", {"core", "model"}},
    {"stages", {"core", "formats", "model", "stages"}},
    {"pipeline", {"core", "formats", "cluster", "model", "stages", "pipeline"}}};

/// Headers of libraries, by how their path starts, and where they may be included: a folder, or one kind of file in it.
struct LibraryRule {
  std::string start;
  std::set<std::string> folders;
  bool sources_only = false;  ///< not in headers
};
const LibraryRule library_rules[] = {{"mpi.h", {"cluster"}, true},
                                     {"nccl", {"cluster"}, true},
                                     {"cuda", {"cluster", "model"}, true},
                                     {"cublas", {"model"}, true},
                                     {"cudnn", {"model"}, true},
                                     {"torch/", {"model"}},
                                     {"ATen/", {"model"}},
                                     {"c10/", {"model"}},
                                     {"itk", {"formats"}, true},
                                     {"zlib.h", {"formats"}},
                                     {"isa-l", {"formats"}, true},
                                     {"png.h", {"formats"}},
                                     {"hdf5", {"core"}},
                                     {"H5", {"core"}},
                                     {"yaml-cpp/", {"core"}, true},
                                     {"spdlog/", {"core"}, true},
                                     {"xxhash.h", {"core"}, true},
                                     {"CLI/", {"pipeline"}, true},
                                     {"cblas.h", {"stages"}, true}};

struct Include {
  std::string name;
  bool ours = false;
};

struct SourceFile {
  std::string folder;
  std::string name;  ///< "core/config.cpp"
  bool header = false;
  bool cuda = false;  ///< compiled by nvcc
  std::vector<std::string> lines;
  std::vector<Include> includes;
};

/// The includes among these lines; `#  include` counts like `#include`.
std::vector<Include> includes_of(const std::vector<std::string>& lines) {
  std::vector<Include> includes;
  for (const auto& line : lines) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first == "#") {
      words >> first;
      first = "#" + first;
    }
    if (!first.starts_with("#include")) continue;
    const auto open = line.find_first_of("<\"");
    if (open == std::string::npos) continue;
    const auto close = line.find_first_of(">\"", open + 1);
    includes.push_back({line.substr(open + 1, close - open - 1), line[open] == '"'});
  }
  return includes;
}

std::vector<SourceFile> all_sources() {
  std::vector<SourceFile> sources;
  for (const auto& [folder, ignored] : allowed_folders)
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(PERFPIPE_SOURCE_DIR) / folder)) {
      const auto extension = entry.path().extension();
      static const std::set<std::string> known{".cpp", ".hpp", ".h", ".cu", ".cuh"};
      if (!known.contains(extension)) continue;
      SourceFile source;
      source.folder = folder;
      source.name = folder + "/" + fs::relative(entry.path(), fs::path(PERFPIPE_SOURCE_DIR) / folder).string();
      source.header = extension == ".hpp" || extension == ".h" || extension == ".cuh";
      source.cuda = extension == ".cu" || extension == ".cuh";
      std::istringstream text(file_bytes(entry.path()));
      for (std::string line; std::getline(text, line);) source.lines.push_back(line);
      source.includes = includes_of(source.lines);
      sources.push_back(std::move(source));
    }
  return sources;
}

TEST(Architecture, TheSourcesAreFound) {
  std::map<std::string, int> files, includes;
  for (const auto& source : all_sources()) {
    ++files[source.folder];
    includes[source.folder] += static_cast<int>(source.includes.size());
  }
  for (const auto& [folder, ignored] : allowed_folders) {
    EXPECT_GE(files[folder], 4) << folder;
    EXPECT_GE(includes[folder], 10) << folder;
  }
}

TEST(Architecture, IncludesAreReadInEveryForm) {
  const auto includes = includes_of({"#include \"core/a.hpp\"", "  # include <mpi.h>  // why", "#include<zlib.h>",
                                     "// #include <torch/x>", "int x;"});
  ASSERT_EQ(includes.size(), 3u);
  EXPECT_TRUE(includes[0].ours);
  EXPECT_EQ(includes[0].name, "core/a.hpp");
  EXPECT_EQ(includes[1].name, "mpi.h");
  EXPECT_EQ(includes[2].name, "zlib.h");
}

TEST(Architecture, AFolderIncludesOnlyThoseBeforeIt) {
  for (const auto& source : all_sources())
    for (const auto& include : source.includes) {
      if (!include.ours) continue;
      const auto slash = include.name.find('/');
      ASSERT_NE(slash, std::string::npos)
          << source.name << " includes \"" << include.name << "\": paths start at the root";
      EXPECT_TRUE(allowed_folders.at(source.folder).contains(include.name.substr(0, slash)))
          << source.name << " must not include " << include.name;
    }
}

TEST(Architecture, EachLibraryHasOneHome) {
  for (const auto& source : all_sources())
    for (const auto& include : source.includes)
      for (const auto& rule : library_rules) {
        if (include.ours || !include.name.starts_with(rule.start)) continue;
        EXPECT_TRUE(rule.folders.contains(source.folder))
            << source.name << " must not include <" << include.name << ">";
        EXPECT_FALSE(rule.sources_only && source.header && !source.cuda)
            << source.name << ": <" << include.name << "> belongs in .cpp files alone";
      }
}

// The same objects serve builds with and without CUDA: what needs it is in files for nvcc, and nothing asks which
// build.
TEST(Architecture, OnlyFilesForNvccKnowCuda) {
  for (const auto& source : all_sources()) {
    if (source.cuda) continue;
    for (const auto& include : source.includes)
      for (const char* start : {"cuda", "cublas", "cudnn", "nccl"})
        EXPECT_FALSE(!include.ours && include.name.starts_with(start))
            << source.name << " includes <" << include.name << ">, which belongs in .cu and .cuh files";
    for (const auto& line : source.lines)
      EXPECT_EQ(line.find("PERFPIPE_CUDA"), std::string::npos) << source.name << " asks whether CUDA is there";
  }
}

TEST(Architecture, LibrariesThatAreOursToHideAreNotIncludedAsOurs) {
  for (const auto& source : all_sources())
    for (const auto& include : source.includes)
      for (const auto& rule : library_rules) {
        if (!include.ours) continue;
        EXPECT_FALSE(include.name.starts_with(rule.start))
            << source.name << " includes \"" << include.name << "\" in quotes";
      }
}

TEST(Architecture, EveryFileSaysWhatItIsAndEveryHeaderIsGuarded) {
  for (const auto& source : all_sources()) {
    if (!source.header) continue;
    ASSERT_FALSE(source.lines.empty()) << source.name;
    EXPECT_TRUE(source.lines.front().starts_with("// "))
        << source.name << " starts with a line that says what it is for";
    EXPECT_NE(std::find(source.lines.begin(), source.lines.end(), "#pragma once"), source.lines.end()) << source.name;
    for (const auto& line : source.lines) EXPECT_FALSE(line.starts_with("using namespace")) << source.name;
  }
}

TEST(Architecture, FilesCanBeReadInASitting) {
  for (const auto& source : all_sources()) EXPECT_LE(source.lines.size(), 400u) << source.name;
}

TEST(Architecture, EverySourceIsBuilt) {
  std::map<std::string, std::string> lists;
  for (const auto& [folder, ignored] : allowed_folders)
    lists[folder] = file_bytes(fs::path(PERFPIPE_SOURCE_DIR) / folder / "CMakeLists.txt");
  for (const auto& source : all_sources()) {
    if (source.header) continue;
    const auto name = source.name.substr(source.folder.size() + 1);
    const auto stem = name.substr(0, name.rfind('.'));  // stages are listed by their name alone
    std::istringstream words(lists[source.folder]);
    bool listed = false;
    for (std::string word; words >> word;) {
      while (!word.empty() && word.back() == ')') word.pop_back();
      listed = listed || word == name || (source.folder == "stages" && word == stem);
    }
    EXPECT_TRUE(listed) << source.name << " is in no list of " << source.folder << "/CMakeLists.txt";
  }
}

}  // namespace
}  // namespace perfpipe
