#include "script/script.h"

#include <array>

#include <gtest/gtest.h>

#include "capture/test_folder.h"
#include "script/test_host.h"
#include "wire/build.h"

namespace haka::script {
namespace {

class ScriptTest : public testing::Test {
protected:
    ScriptTest() {
        wire::build_tcp({}, {.src = Address::ipv4(1), .dst = Address::ipv4(2)}, {.flags = 2}, {},
                        datagram_);
        haka_packet& packet = packets_[0];
        packet.generation = 1;
        packet.net = datagram_.data();
        packet.transport = datagram_.data() + 20;
        packet.payload = datagram_.data() + 40;
        packet.net_size = 40;
        packet.transport_size = 20;
        packet.ip_version = 4;
        packet.protocol = 6;
        packet.transport_ok = 1;
        context_.packets = packets_.data();
        context_.connection = HAKA_NONE;
        context_.packet_number = 7;
        options_.policy = folder_.file("policy.lua");
    }

    // The error, empty when it loaded.
    std::string load(std::string_view policy) {
        (void)folder_.write("policy.lua", as_bytes(policy));
        Script::Loaded loaded = Script::load(options_, host_, context_);
        script_ = std::move(loaded.script);
        EXPECT_EQ(script_ == nullptr, !loaded.error.empty());
        return loaded.error;
    }
    // What is said of a policy that can't be loaded, from the file's name on.
    std::string error_of(std::string_view policy) {
        const std::string error = load(policy);
        const std::size_t place = error.find("policy.lua:");
        return place == std::string::npos ? "no place: " + error : error.substr(place);
    }
    RunStatus run(Hook hook = Hook::RawUp) {
        context_.event += 1;
        context_.ended = 0;
        context_.rule = 0;
        return script_->run(hook);
    }

    capture::test::Folder folder_;
    std::vector<std::uint8_t> datagram_;
    std::array<haka_packet, 2> packets_{};
    haka_context context_{};
    test::TestHost host_;
    Options options_;
    std::unique_ptr<Script> script_;  // Goes before what it was given.
};

TEST_F(ScriptTest, NamesFileAndLineOfWhatDoesNotLoad) {
    EXPECT_TRUE(error_of("local a = 1\nlocal b = = 2").starts_with("policy.lua:2: "));
    EXPECT_TRUE(error_of("\n\nerror('no')").starts_with("policy.lua:3: no"));
    EXPECT_TRUE(error_of("\nlocal x = nil + 1").starts_with("policy.lua:2: "));
    EXPECT_TRUE(error_of("haka.rule{\n}").starts_with("policy.lua:1: "));
}

TEST_F(ScriptTest, NamesTheFileThatIsNotThere) {
    options_.policy = folder_.file("none.lua");
    const Script::Loaded loaded = Script::load(options_, host_, context_);
    EXPECT_EQ(loaded.script, nullptr);
    EXPECT_NE(loaded.error.find("none.lua"), std::string::npos) << loaded.error;
}

TEST_F(ScriptTest, NamesTheNearestHook) {
    const std::string error =
        error_of("haka.rule{ hooks = { 'tcp-conection-new' }, eval = function () end }");
    EXPECT_TRUE(error.starts_with("policy.lua:1: ")) << error;
    EXPECT_NE(error.find("tcp-connection-new"), std::string::npos) << error;
}

TEST_F(ScriptTest, RefusesCompiledPolicies) {
    EXPECT_NE(load(std::string_view("\x1bLJ\x02", 4)), "");
}

TEST_F(ScriptTest, StartsWithTheLeastMemoryThatCanBeSet) {
    options_.lua.memory_max = 1U << 20;
    EXPECT_EQ(load(""), "");
}

TEST_F(ScriptTest, TellsWhenAPolicyNeedsTooMuchMemoryToLoad) {
    options_.lua.memory_max = 4U << 20;
    const std::string error = load("local t = {} for i = 1, 1e7 do t[i] = ('x'):rep(i) end");
    EXPECT_NE(error.find("policy.lua"), std::string::npos) << error;
    EXPECT_NE(error.find("lua.memory_max (4194304 bytes)"), std::string::npos) << error;
}

TEST_F(ScriptTest, AFatalLogEndsLoading) {
    const std::string error = load("haka.log.fatal('test', 'not today')");
    EXPECT_NE(error.find("not today"), std::string::npos) << error;
}

TEST_F(ScriptTest, ListensOnlyToHooksWithRules) {
    ASSERT_EQ(load(R"(
        haka.rule{ name = "one", hooks = { "raw-up", "tcp-up" }, eval = function () end }
        haka.rule{ hooks = { "tcp-connection-up" }, eval = function () end })"),
              "");
    EXPECT_TRUE(script_->listens(Hook::RawUp));
    EXPECT_TRUE(script_->listens(Hook::TcpUp));
    EXPECT_FALSE(script_->listens(Hook::Ipv4Up));
    EXPECT_EQ(script_->stream_rules(), 1U);
    EXPECT_FALSE(script_->has_streamed_rules());
    ASSERT_EQ(script_->rules().size(), 3U);  // Number 0 is nobody.
    EXPECT_EQ(script_->rules()[1].name, "one");
    EXPECT_TRUE(script_->rules()[1].place.ends_with("policy.lua:2")) << script_->rules()[1].place;
    EXPECT_EQ(script_->rules()[2].name, script_->rules()[2].place);
}

TEST_F(ScriptTest, ListensToNoHookOfADisabledDissector) {
    ASSERT_EQ(load(R"(
        haka.rule{ hooks = { "tcp-up", "ipv4-up" }, eval = function () end }
        haka.disable_dissector("tcp"))"),
              "");
    EXPECT_TRUE(script_->is_disabled("tcp"));
    EXPECT_FALSE(script_->is_disabled("ipv4"));
    EXPECT_FALSE(script_->listens(Hook::TcpUp));
    EXPECT_TRUE(script_->listens(Hook::Ipv4Up));
}

TEST_F(ScriptTest, RunsTheRulesOfAHookInTheirOrder) {
    ASSERT_EQ(load(R"(
        for i = 1, 3 do
            haka.rule{ hooks = { "raw-up" }, eval = function () print("rule", i) end }
        end)"),
              "");
    EXPECT_EQ(run(), RunStatus::Done);
    EXPECT_EQ(host_.prints, (std::vector<std::string>{"rule 1", "rule 2", "rule 3"}));
}

TEST_F(ScriptTest, TellsAnErrorWithItsTraceOnceThenAtEachPowerOfTwo) {
    ASSERT_EQ(load(R"(
        haka.rule{ name = "broken", hooks = { "raw-up" }, eval = function ()
            error("no luck")
        end })"),
              "");
    for (int i = 0; i < 9; ++i) {
        EXPECT_EQ(run(), RunStatus::Failed);
        EXPECT_EQ(script_->failed_rule(), 1U);
    }
    ASSERT_EQ(host_.logs.size(), 4U);  // Errors 1, 2, 4, 8.
    EXPECT_TRUE(host_.logs[0].starts_with("lua: rule \"broken\" on packet 7: ")) << host_.logs[0];
    EXPECT_NE(host_.logs[0].find("policy.lua:3: no luck"), std::string::npos) << host_.logs[0];
    EXPECT_NE(host_.logs[0].find("stack traceback:"), std::string::npos) << host_.logs[0];
    EXPECT_EQ(host_.logs[3].find("stack traceback:"), std::string::npos);
    EXPECT_TRUE(host_.logs[3].ends_with("(its error number 8)")) << host_.logs[3];
    EXPECT_EQ(script_->rules()[1].errors, 9U);
}

TEST_F(ScriptTest, TellsErrorsThatAreNoText) {
    ASSERT_EQ(load(R"(
        haka.rule{ hooks = { "raw-up" }, eval = function () error({}) end }
        haka.rule{ hooks = { "tcp-up" }, eval = function ()
            error(setmetatable({}, { __tostring = function () return "made of a table" end }))
        end })"),
              "");
    EXPECT_EQ(run(Hook::RawUp), RunStatus::Failed);
    EXPECT_NE(host_.logs.back().find("table value"), std::string::npos) << host_.logs.back();
    EXPECT_EQ(run(Hook::TcpUp), RunStatus::Failed);
    EXPECT_NE(host_.logs.back().find("made of a table"), std::string::npos) << host_.logs.back();
}

TEST_F(ScriptTest, DeepRecursionIsAnErrorOfItsRule) {
    ASSERT_EQ(load(R"(
        local function down(n) return 1 + down(n + 1) end
        haka.rule{ hooks = { "raw-up" }, eval = function () down(1) end })"),
              "");
    EXPECT_EQ(run(), RunStatus::Failed);
    EXPECT_NE(host_.logs.at(0).find("stack overflow"), std::string::npos) << host_.logs.at(0);
    EXPECT_EQ(run(), RunStatus::Failed);
}

TEST_F(ScriptTest, ReachingTheMemoryLimitNamesRulePacketAndLimitAndFreesAll) {
    options_.lua.memory_max = 8U << 20;
    ASSERT_EQ(load(R"(
        haka.rule{ name = "greedy", hooks = { "raw-up" }, eval = function ()
            local t = {}
            for i = 1, 1e7 do t[i] = ("x"):rep(1000) .. i end
        end }
        haka.rule{ hooks = { "tcp-up" }, eval = function () print("still here") end })"),
              "");
    EXPECT_EQ(run(), RunStatus::Failed);
    const std::string& log = host_.logs.at(0);
    EXPECT_TRUE(log.starts_with("lua: rule \"greedy\" on packet 7: not enough memory: ")) << log;
    EXPECT_TRUE(log.ends_with("lua.memory_max is 8388608")) << log;
    EXPECT_LT(script_->memory_used(), 4U << 20);
    EXPECT_EQ(run(Hook::TcpUp), RunStatus::Done);
    EXPECT_EQ(host_.prints.back(), "still here");
}

TEST_F(ScriptTest, AFatalLogEndsTheRun) {
    ASSERT_EQ(load(R"(
        haka.rule{ hooks = { "raw-up" }, eval = function ()
            pcall(haka.log.fatal, "test", "enough")
        end })"),
              "");
    EXPECT_EQ(run(), RunStatus::Fatal);
}

TEST_F(ScriptTest, EntriesAreOddWhileLuaRuns) {
    ASSERT_EQ(load("haka.rule{ hooks = { 'raw-up' }, eval = function () print('x') end }"), "");
    const std::uint64_t before = script_->entries().load();
    EXPECT_EQ(before % 2, 0U);
    std::uint64_t inside = 0;
    host_.on_print = [&] { inside = script_->entries().load(); };
    EXPECT_EQ(run(), RunStatus::Done);
    EXPECT_EQ(inside, before + 1);
    EXPECT_EQ(script_->entries().load(), before + 2);
}

TEST_F(ScriptTest, RunsEveryExitFunctionInOrderWhateverTheOthersDo) {
    ASSERT_EQ(load(R"(
        haka.on_exit(function () print("first") end)
        haka.on_exit(function () error("no") end)
        haka.on_exit(function () print("last") end))"),
              "");
    (void)script_->run_exit();
    EXPECT_EQ(host_.prints, (std::vector<std::string>{"first", "last"}));
    EXPECT_FALSE(host_.logs.empty());
}

TEST_F(ScriptTest, KnowsForWhichProtocolsADissectorIsWritten) {
    ASSERT_EQ(load(R"(
        local odd = haka.dissector{ name = "odd", dissect = function (pkt) return {} end }
        ipv4.register_proto(200, odd))"),
              "");
    EXPECT_TRUE(script_->has_protocol(200));
    EXPECT_FALSE(script_->has_protocol(201));
}

TEST_F(ScriptTest, GivesTheSameRandomNumbersForTheSameSeed) {
    const auto numbers = [this](std::uint64_t seed) {
        options_.seed = seed;
        host_.prints.clear();
        EXPECT_EQ(load("print(math.random(1e9), math.random(1e9))"), "");
        return host_.prints;
    };
    const auto first = numbers(5);
    EXPECT_EQ(numbers(5), first);
    EXPECT_NE(numbers(6), first);
}

TEST_F(ScriptTest, TellsTheTimeOfEachRuleWhenAsked) {
    options_.profile = true;
    ASSERT_EQ(load(R"(
        haka.rule{ hooks = { "raw-up" }, eval = function () end }
        haka.rule{ hooks = { "raw-up" }, eval = function () end })"),
              "");
    EXPECT_EQ(run(), RunStatus::Done);
    EXPECT_EQ(host_.timed, (std::vector<std::uint32_t>{1, 2}));
}

TEST_F(ScriptTest, ListsRulesWithGroupPlaceAndPromises) {
    ASSERT_EQ(load(R"(
        local g = haka.rule_group{ name = "guards" }
        g:rule{ name = "one", hooks = { "tcp-connection-up" }, readonly = true, streamed = true,
                eval = function () end })"),
              "");
    const auto listing = script_->listing();
    ASSERT_EQ(listing.size(), 1U);
    EXPECT_EQ(listing[0].hook, "tcp-connection-up");
    EXPECT_EQ(listing[0].group, "guards");
    EXPECT_EQ(listing[0].name, "one");
    EXPECT_TRUE(listing[0].place.ends_with("policy.lua:3")) << listing[0].place;
    EXPECT_TRUE(listing[0].readonly);
    EXPECT_TRUE(listing[0].streamed);
    EXPECT_TRUE(script_->has_streamed_rules());
}

}  // namespace
}  // namespace haka::script
