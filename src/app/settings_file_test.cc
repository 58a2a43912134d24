#include "app/settings_file.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace haka::app {
namespace {

class SettingsFileTest : public testing::Test {
protected:
    std::string read(std::string_view text) {
        return read_settings_text(text, "haka.toml", table_);
    }

    Settings settings_;
    std::vector<Setting> table_ = settings_table(settings_);
};

TEST_F(SettingsFileTest, SectionsKeysAndTheTopLevelArrive) {
    EXPECT_EQ(read("workers = 2\n"
                   "[tcp]\n"
                   "midstream = \"ignore\"  # Captures begin anywhere.\n"
                   "established_timeout = \"2h\"\n"
                   "syn_timeout = 1.5\n"
                   "held_bytes_max = \"2MiB\"\n"
                   "[lua]\n"
                   "unsafe = true\n"),
              "");
    EXPECT_EQ(settings_.workers, 2U);
    EXPECT_EQ(settings_.tcp.midstream, Midstream::Ignore);
    EXPECT_EQ(settings_.tcp.established_timeout, kSecond * 7200);
    EXPECT_EQ(settings_.tcp.syn_timeout, kMillisecond * 1500);
    EXPECT_EQ(settings_.tcp.held_bytes_max, 2U << 20);
    EXPECT_TRUE(settings_.lua.unsafe);
    EXPECT_EQ(settings_.tcp.dropped_timeout, kSecond * 120);
}

TEST_F(SettingsFileTest, DottedKeysAreTheSame) {
    EXPECT_EQ(read("tcp.midstream = \"ignore\""), "");
    EXPECT_EQ(settings_.tcp.midstream, Midstream::Ignore);
}

TEST_F(SettingsFileTest, AllFindingsAreToldInTheOrderOfTheFile) {
    EXPECT_EQ(
        read("worker = 2\n"
             "[tcp]\n"
             "midstream = \"dorp\"\n"
             "connections_max = \"many\"\n"
             "[luaa]\n"
             "unsafe = true\n"
             "[exceptions]\n"
             "  hold = [\"drop\"]\n"
             "  memory = 1979-05-27\n"),
        "haka.toml:1:1: unknown setting worker; did you mean workers?\n"
        "haka.toml:3:13: tcp.midstream must be drop, ignore or accept, not \"dorp\"; did you mean "
        "drop?\n"
        "haka.toml:4:19: tcp.connections_max must be a whole number from 1 to 67108864, not "
        "\"many\"\n"
        "haka.toml:5:2: unknown section [luaa]; did you mean [lua]?\n"
        "haka.toml:8:10: exceptions.hold must be a number, a text, true or false\n"
        "haka.toml:9:12: exceptions.memory must be a number, a text, true or false");
}

TEST_F(SettingsFileTest, ATableInsideASectionIsAnUnknownSetting) {
    EXPECT_EQ(read("[tcp.syn]\ntimeout = 3\n"), "haka.toml:1:6: unknown setting tcp.syn");
}

TEST_F(SettingsFileTest, WhatIsNoTomlIsNamedWithItsPlace) {
    EXPECT_TRUE(read("[tcp\n").starts_with("haka.toml:1:5: ")) << read("[tcp\n");
    EXPECT_TRUE(read("\nworkers =\n").starts_with("haka.toml:2:10: ")) << read("\nworkers =\n");
    EXPECT_TRUE(read(std::string_view("a\0b", 3)).starts_with("haka.toml:1:"));
}

TEST_F(SettingsFileTest, DeepNestingIsRefusedNotFollowed) {
    EXPECT_NE(read("a = " + std::string(100'000, '[')), "");
}

TEST_F(SettingsFileTest, FilesAreReadAndRefusedByName) {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("settings" + std::to_string(getpid()))).string();
    std::ofstream(path) << "workers = 3\n";
    EXPECT_EQ(read_settings(path, table_), "");
    EXPECT_EQ(settings_.workers, 3U);
    std::ofstream(path) << std::string((1U << 20) + 1, '\n');
    EXPECT_EQ(read_settings(path, table_),
              path + " is larger than 1048576 bytes: is it a settings file?");
    std::filesystem::remove(path);
    EXPECT_EQ(read_settings(path, table_),
              "cannot read the settings file " + path + ": No such file or directory");
    EXPECT_EQ(read_settings("/", table_), "cannot read the settings file /: Is a directory");
}

}  // namespace
}  // namespace haka::app
