#include "proto/http/uri.h"

#include <random>

#include <gtest/gtest.h>

namespace haka::http {
namespace {

std::string normal(std::string_view text) {
    return normalize(split_uri(text));
}

TEST(UriTest, SplitsIntoItsParts) {
    const Uri uri = split_uri("http://me:secret@host.example:8080/a/b?x=1&y#top");
    EXPECT_EQ(uri.scheme, "http");
    EXPECT_EQ(uri.authority, "me:secret@host.example:8080");
    EXPECT_EQ(uri.userinfo, "me:secret");
    EXPECT_EQ(uri.user, "me");
    EXPECT_EQ(uri.pass, "secret");
    EXPECT_EQ(uri.host, "host.example");
    EXPECT_EQ(uri.port, "8080");
    EXPECT_EQ(uri.path, "/a/b");
    EXPECT_EQ(uri.query, "x=1&y");
    EXPECT_EQ(uri.fragment, "top");
}

TEST(UriTest, SplitsOddOnes) {
    EXPECT_EQ(split_uri("http://[::1]:80/").host, "[::1]");
    EXPECT_EQ(split_uri("http://[::1]:80/").port, "80");
    EXPECT_EQ(split_uri("http://[::1]/").port, "");
    EXPECT_EQ(split_uri("//x/y").host, "x");
    EXPECT_EQ(split_target("//x/y").host, "");
    EXPECT_EQ(split_target("//x/y").path, "//x/y");
    EXPECT_EQ(split_target("http://x/y").host, "x");
    EXPECT_EQ(split_uri("mailto:a@b").path, "a@b");
    EXPECT_EQ(split_uri("/a:b").path, "/a:b");
    EXPECT_EQ(split_uri("a@b://c").path, "a@b://c");
    EXPECT_EQ(split_uri("http://u:p@q@h/").userinfo, "u:p@q");
    EXPECT_EQ(split_uri("").path, "");
    EXPECT_TRUE(split_uri("?").has_query);
    EXPECT_FALSE(split_uri("").has_query);
}

// The examples of RFC 3986, 5.2.4 and 6.2.2, and what their rules give.
TEST(UriTest, NormalizesWhatMeansTheSame) {
    EXPECT_EQ(normal("HTTP://Example.COM:80"), "http://example.com/");
    EXPECT_EQ(normal("https://x:443/"), "https://x/");
    EXPECT_EQ(normal("http://x:8080/"), "http://x:8080/");
    EXPECT_EQ(normal("/a/b/c/./../../g"), "/a/g");
    EXPECT_EQ(normal("/a/.."), "/");
    EXPECT_EQ(normal("/a/."), "/a/");
    EXPECT_EQ(normal("/../../x"), "/x");
    EXPECT_EQ(normal("/%7euser/%2e%2e/%2E/x"), "/x");
    EXPECT_EQ(normal("/%3a%2f?%41=%26#%42"), "/%3A%2F?A=%26#B");
    EXPECT_EQ(normal("/a b\"<>\x01\xff"), "/a%20b%22%3C%3E%01%FF");
    EXPECT_EQ(normal("//X"), "//x/");
    EXPECT_EQ(normalize(split_target("//a")), "/.//a");
}

TEST(UriTest, NeverDecodesTwice) {
    EXPECT_EQ(normal("/%2541"), "/%2541");
    EXPECT_EQ(normal("/%%34%31"), "/%2541");
    EXPECT_EQ(normal("/%4"), "/%254");
    EXPECT_EQ(normal("/%"), "/%25");
    EXPECT_EQ(decode("%2541%"), "%41%");
    EXPECT_EQ(decode("%%34%31"), "%41");
    EXPECT_EQ(decode("a%00b").size(), 3U);
}

TEST(UriTest, NormalizesAnyTextOnce) {
    std::mt19937 random(11);
    constexpr std::string_view kBytes = "%%25eE4/.:?#@[]aZ \x80&=";
    for (int round = 0; round < 20'000; ++round) {
        std::string text;
        for (std::size_t size = random() % 16; size != 0; --size) {
            text += kBytes[random() % kBytes.size()];
        }
        const std::string once = normal(text);
        EXPECT_EQ(normal(once), once) << text;
        const std::string target = normalize(split_target(text));
        EXPECT_EQ(normalize(split_target(target)), target) << text;
    }
}

}  // namespace
}  // namespace haka::http
