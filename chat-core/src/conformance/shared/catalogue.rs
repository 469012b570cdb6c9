//! All cases by area.

use super::Case;

pub(super) fn all() -> Vec<Case> {
    cases! {
        bus {
            who_joined_hears_what_others_publish,
            who_did_not_join_hears_nothing,
            when_join_returns_what_is_published_later_comes_in,
            joining_again_changes_nothing,
            who_parts_hears_no_more,
            who_parts_and_joins_hears_again,
            a_publication_to_several_topics_comes_at_least_once,
            every_publication_of_a_call_comes,
            topics_of_every_kind_are_told_apart,
            users_of_any_name_are_told_apart,
            payloads_survive_byte_for_byte,
            calls_about_nothing_are_accepted,
            many_who_join_at_once_all_hear,
            the_stream_ends_with_the_bus,
        }
        presence {
            who_was_never_there_is_offline_and_was_not_seen,
            a_lease_is_seen_by_every_node,
            answers_come_one_each_in_order,
            busy_wins_over_online_and_online_over_away,
            a_nodes_word_replaces_its_former_one,
            a_lease_that_is_not_renewed_runs_out,
            a_lease_that_is_renewed_holds_on,
            a_shorter_lease_replaces_a_longer_one,
            a_word_that_runs_out_leaves_those_of_others,
            a_release_ends_a_lease_at_once_and_is_when_they_were_last_seen,
            a_release_ends_the_words_of_that_node_alone,
            a_release_of_nothing_changes_nothing,
            who_comes_back_is_there_again,
            users_of_any_name_are_told_apart,
            many_users_are_looked_after_at_once,
            calls_about_nobody_are_accepted,
        }
        rate {
            a_burst_passes_and_then_the_rate_holds,
            refusals_cost_nothing,
            what_was_promised_is_granted,
            the_whole_burst_comes_back,
            keys_and_classes_count_apart,
            every_node_counts_the_same,
            racing_takes_get_no_more_than_the_quota,
            zeros_count_as_one,
            the_largest_quota_lets_all_pass,
        }
    }
}
