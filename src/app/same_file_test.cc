#include "app/same_file.h"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace haka::app {
namespace {

class SameFileTest : public testing::Test {
protected:
    SameFileTest() {
        std::filesystem::create_directory(folder_);
        std::ofstream(input_) << "capture";
    }
    ~SameFileTest() override { std::filesystem::remove_all(folder_); }
    SameFileTest(const SameFileTest&) = delete;
    SameFileTest& operator=(const SameFileTest&) = delete;

    [[nodiscard]] std::string in_folder(const std::string& name) const {
        return (folder_ / name).string();
    }

    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("same_file" + std::to_string(getpid()));
    std::string input_ = in_folder("in.pcap");
};

TEST_F(SameFileTest, TheOutputIsNotTheInput) {
    Options options;
    options.input = input_;
    options.output = input_;
    EXPECT_EQ(clashing_files(options),
              "-w " + input_ + " would write over the file that -r reads; name another one");
}

TEST_F(SameFileTest, ALinkIsTheSameFile) {
    Options options;
    options.input = input_;
    options.output = in_folder("link.pcap");
    std::filesystem::create_hard_link(input_, options.output);
    EXPECT_NE(clashing_files(options), "");
    std::filesystem::remove(options.output);
    std::filesystem::create_symlink(input_, options.output);
    EXPECT_NE(clashing_files(options), "");
}

TEST_F(SameFileTest, TwoOutputsDifferEvenBeforeTheyExist) {
    Options options;
    options.input = input_;
    options.output = in_folder("new");
    options.eve = in_folder("./new");
    EXPECT_EQ(clashing_files(options), "--eve " + options.eve +
                                           " would write over the file that -w writes; name "
                                           "another one");
    options.output = "new";
    options.eve = "./new";
    EXPECT_NE(clashing_files(options), "");
    options.eve = "other";
    EXPECT_EQ(clashing_files(options), "");
}

TEST_F(SameFileTest, ThePolicyIsNotWrittenOver) {
    Options options;
    options.policy = input_;
    options.log_file = input_;
    EXPECT_EQ(
        clashing_files(options),
        "--log " + input_ + " would write over the file that the policy is; name another one");
}

TEST_F(SameFileTest, StandardInputIsTheFileThatItReads) {
    const int saved = dup(STDIN_FILENO);
    ASSERT_NE(std::freopen(input_.c_str(), "r", stdin), nullptr);
    Options options;
    options.input = "-";
    options.output = input_;
    EXPECT_NE(clashing_files(options), "");
    options.output = in_folder("other.pcap");
    EXPECT_EQ(clashing_files(options), "");
    dup2(saved, STDIN_FILENO);
    close(saved);
}

TEST_F(SameFileTest, StandardStreamsAndDevicesMayBeNamedTwice) {
    Options options;
    options.input = "-";
    options.output = "-";
    options.eve = "/dev/null";
    options.log_file = "/dev/null";
    EXPECT_EQ(clashing_files(options), "");
}

}  // namespace
}  // namespace haka::app
