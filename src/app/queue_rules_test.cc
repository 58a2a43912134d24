#include "app/queue_rules.h"

#include <gtest/gtest.h>

namespace haka::app {
namespace {

TEST(QueueRulesTest, ReadsWhatIptablesSaves) {
    std::vector<QueueRule> rules;
    append_iptables_rules(rules,
                          "*filter\n:FORWARD ACCEPT [0:0]\n"
                          "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
                          "-A FORWARD -p tcp -j NFQUEUE --queue-num 7\n"
                          "-A FORWARD -j NFQUEUE --queue-balance 0:3 --queue-bypass\n"
                          "-A OUTPUT -m comment --comment \"-j NFQUEUE\" -j ACCEPT\n"
                          "-A FORWARD -j NFQUEUE --queue-num x\n"
                          "COMMIT\n",
                          false);
    ASSERT_EQ(rules.size(), 2U);
    EXPECT_EQ(rules[0].first, 7);
    EXPECT_EQ(rules[0].last, 7);
    EXPECT_FALSE(rules[0].bypass);
    EXPECT_EQ(rules[0].chain, "FORWARD");
    EXPECT_EQ(rules[0].text, "-A FORWARD -p tcp -j NFQUEUE --queue-num 7");
    EXPECT_EQ(rules[1].first, 0);
    EXPECT_EQ(rules[1].last, 3);
    EXPECT_TRUE(rules[1].bypass);
    EXPECT_TRUE(rules[1].ipv4);
    EXPECT_FALSE(rules[1].ipv6);
}

TEST(QueueRulesTest, ReadsWhatNftLists) {
    std::vector<QueueRule> rules;
    append_nft_rules(rules,
                     "table inet filter {\n"
                     "\tchain forward {\n"
                     "\t\ttype filter hook forward priority filter; policy accept;\n"
                     "\t\ttcp dport 80 queue flags bypass,fanout to 0-3\n"
                     "\t}\n"
                     "\tchain in {\n"
                     "\t\ttype filter hook input priority filter; policy accept;\n"
                     "\t\tqueue num 5 bypass\n"
                     "\t}\n"
                     "}\n"
                     "table ip6 other {\n"
                     "\tchain x {\n"
                     "\t\tcounter packets 0 bytes 0 queue to 9\n"
                     "\t}\n"
                     "}\n");
    ASSERT_EQ(rules.size(), 3U);
    EXPECT_EQ(rules[0].first, 0);
    EXPECT_EQ(rules[0].last, 3);
    EXPECT_TRUE(rules[0].bypass && rules[0].ipv4 && rules[0].ipv6);
    EXPECT_EQ(rules[0].chain, "FORWARD");
    EXPECT_EQ(rules[1].first, 5);
    EXPECT_TRUE(rules[1].bypass);
    EXPECT_EQ(rules[1].chain, "INPUT");
    EXPECT_EQ(rules[2].last, 9);
    EXPECT_FALSE(rules[2].bypass);
    EXPECT_FALSE(rules[2].ipv4);
    EXPECT_EQ(rules[2].chain, "");
}

TEST(QueueRulesTest, NothingIsNoRule) {
    std::vector<QueueRule> rules;
    append_iptables_rules(rules, "", false);
    append_iptables_rules(rules, "-A\n-A X -j\n-j NFQUEUE\n\n", true);
    append_nft_rules(rules, "table\nchain\ntype\n");
    EXPECT_TRUE(rules.empty());
}

}  // namespace
}  // namespace haka::app
