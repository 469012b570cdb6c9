//! All cases by area.

use super::Case;

pub(super) fn all() -> Vec<Case> {
    cases! {
        create {
            a_direct_conversation_exists_once_whoever_asks,
            both_asking_at_once_on_two_nodes_get_one,
            a_direct_conversation_with_oneself_is_allowed,
            contexts_separate_direct_conversations,
            an_existing_id_is_returned_as_it_stands,
            an_id_raced_on_two_nodes_is_made_once,
            a_new_conversation_has_rev_1_and_joining_members,
            conversation_numbers_are_unique_and_find_it,
            an_unknown_conversation_is_absent_everywhere,
            every_node_answers_with_the_same_epoch,
        }
        members {
            members_come_by_id_in_pages,
            one_member_is_found,
            added_members_join_at_the_end,
            who_is_there_or_not_already_takes_no_rev,
            nothing_of_a_removed_member_stays,
            a_role_does_not_survive_removal,
            who_is_removed_appends_no_more,
            racing_changes_take_one_rev_each,
            one_user_added_by_many_at_once_joins_once,
            the_limit_of_members_holds_under_concurrency,
        }
        rules {
            a_patch_takes_one_rev,
            roles_decide_who_may,
            who_is_not_a_member_finds_no_conversation,
            the_host_needs_no_role,
            members_are_limited,
            the_pair_of_a_direct_conversation_stands,
            the_highest_role_then_the_oldest_then_the_first_inherits,
            whoever_comes_first_into_an_empty_group_owns_it,
            an_owner_remains_when_all_leave_at_once,
            a_group_with_members_always_has_an_owner,
        }
        append {
            seq_and_rev_grow_by_one_in_the_order_of_the_batch,
            an_empty_batch_answers_nothing,
            a_message_is_stored_as_it_was_appended,
            racing_appends_on_two_nodes_leave_no_hole,
            racing_batches_over_several_conversations_leave_no_hole,
            sends_and_revisions_racing_take_one_rev_each,
            message_numbers_grow_within_a_conversation,
            who_is_not_a_member_gets_not_found_and_takes_no_number,
            an_unknown_reply_is_refused,
            one_bad_row_answers_for_itself,
            sending_does_not_move_the_senders_read_cursor,
            last_activity_never_goes_back,
            the_host_sends_system_messages,
            a_large_batch_over_many_conversations_is_stored,
        }
        keys {
            the_same_key_and_content_is_replayed,
            the_same_key_with_other_content_is_a_conflict,
            a_key_belongs_to_one_sender_in_one_conversation,
            the_host_is_one_sender_with_keys_of_its_own,
            a_duplicate_within_a_batch_is_found,
            a_raced_key_is_fresh_exactly_once,
            a_key_is_remembered_after_deletion,
            without_a_key_every_message_is_fresh,
        }
        revise {
            each_change_takes_exactly_one_rev,
            what_is_so_already_takes_no_rev,
            an_edit_replaces_what_it_names,
            a_deleted_message_is_a_tombstone,
            who_may_revise_is_decided_by_the_rules,
            in_a_direct_conversation_both_pin_and_each_deletes_their_own,
            who_is_not_a_member_finds_no_message,
            reactions_keep_the_order_of_their_first_use,
            mine_is_filled_in_for_a_viewer_alone,
            a_reaction_names_its_first_users_and_counts_all,
            distinct_reactions_are_limited,
            racing_reactions_are_all_counted_within_the_limit,
            pins_are_limited_and_listed_latest_first,
            pins_honour_what_is_gone_for_the_viewer,
        }
        history {
            latest_gives_the_newest_oldest_first,
            before_gives_the_newest_with_a_smaller_seq,
            after_gives_the_oldest_with_a_larger_seq,
            an_empty_conversation_has_an_empty_history,
            only_members_and_the_host_read_the_history,
            paging_both_ways_gives_every_message_once,
            a_viewer_does_not_see_what_is_cleared_or_deleted_for_them,
            deletions_for_one_conversation_do_not_reach_another,
            tombstones_stay_in_the_history,
            a_message_is_found_by_id_number_and_seq,
            an_unknown_message_is_absent,
        }
        changes {
            new_messages_come_by_seq_then_revised_ones_by_changed_rev,
            the_conversation_comes_on_the_first_page_when_it_changed,
            at_or_beyond_the_head_there_is_nothing,
            pages_have_no_hole_and_no_double,
            a_position_survives_being_written_down,
            changes_honour_what_is_gone_for_the_viewer,
            changes_from_any_rev_rebuild_the_state,
            what_happens_between_pages_is_not_lost,
        }
        content {
            texts_survive_byte_for_byte,
            the_longest_text_and_metadata_survive,
            every_field_of_a_message_survives,
            names_survive_and_are_told_apart,
            contexts_of_any_form_are_told_apart,
            times_survive_to_the_millisecond,
            a_conversations_own_fields_survive,
        }
        lists {
            the_latest_activity_comes_first_then_the_larger_number,
            pages_neither_repeat_nor_leave_out,
            archived_ones_are_told_apart,
            hidden_ones_come_back_with_a_new_message,
            hidden_ones_are_listed_for_who_asks,
            the_last_message_is_the_last_that_the_user_sees,
            unread_is_counted_in_the_list,
            only_members_have_a_summary,
            memberships_come_by_id_with_their_heads,
            arrivals_are_the_memberships_since_a_moment,
            heads_are_the_revs_of_known_ones,
            a_direct_membership_names_the_other,
            those_who_share_a_conversation_are_found,
        }
        private {
            each_change_takes_one_member_rev_and_never_a_shared_one,
            who_is_not_a_member_has_no_state,
            a_settings_patch_changes_what_it_names,
            marking_as_unread_is_clamped,
            a_mark_as_unread_takes_nothing_away,
            clearing_takes_the_history_of_this_member_alone,
            hiding_also_clears,
            unknown_and_foreign_messages_are_left_out,
            changes_since_a_member_rev_name_what_was_deleted,
        }
        cursors {
            cursors_are_monotone_and_clamped,
            racing_deliveries_share_no_message,
            in_an_empty_conversation_nothing_moves,
            answers_come_in_the_order_of_the_batch,
            reading_takes_the_mark_as_unread_away,
            racing_cursors_end_at_the_furthest,
            cursors_are_listed_by_user_with_private_ones_marked,
            unread_counts_what_others_said_and_stands,
            the_cap_is_respected,
            the_total_leaves_out_hidden_and_archived,
            sending_counts_for_others_alone,
            unread_equals_a_recount,
        }
        model {
            random_operations_answer_as_in_memory,
        }
    }
}
