"""What was found wrong when the faults were first tried, finding by finding, and the tests that show it mended.

Belongs here: one line a finding, in the order in which a night would meet it, with the names of tests. Does not belong here: the tests.
`table.py` makes a page of it; `test_table.py` sees that every name is one of a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FOUND: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "A night that dies": {
        "A process killed hard left its run started, and no later night began": (
            "a_night_that_dies_in_the_daemon_does_not_keep_the_next_from_going_on",
        ),
        "So did one that aborted": ("a_night_whose_process_is_gone_is_ended_and_told_once",),
        "And a machine that was restarted, whose locks were lost": (
            "a_night_whose_lock_is_lost_is_dead_once_it_had_time_to_begin",
        ),
        "Nobody was told of any of them": ("a_night_that_failed_without_a_word_is_told_by_whoever_looks_next",),
        "The command line found the run of the service that had died and waited": (
            "a_command_beside_a_night_of_the_service_stops_for_its_morning_and_runs_for_another",
        ),
        "A night told to end while it built ended over a connection that was busy": (
            "a_night_that_is_told_to_end_while_dbt_builds_ends_as_that_and_leaves_nothing_at_work",
            "what_stopped_dbt_is_not_hidden_by_what_then_could_not_be_closed",
        ),
    },
    "One file in the inbox": {
        "A lower-case reference to a far cell took the process of the night with it": (
            "a_file_that_breaks_what_reads_it_is_its_own_fault_alone",
            "a_workbook_with_parts_of_it_changed",
        ),
        "So did the number of a row with ten digits": (
            "a_cell_far_out_does_not_fill_the_memory",
            "a_file_that_breaks_what_reads_it_is_its_own_fault_alone",
        ),
        "A workbook that never ends being read held the night up": (
            "a_reader_that_dies_or_hangs_is_said_of_the_file_and_the_next_file_is_read",
        ),
        "One that unpacks to gigabytes filled the memory": (
            "files_that_are_no_workbooks_of_ours_are_refused_before_anything_opens_them",
            "memory_beyond_the_bound_is_refused_not_taken",
        ),
        "A file that could not be moved to done stopped the night": ("a_file_that_cannot_be_put_away_does_not_stop_the_night",),
        "A name of 250 bytes could not be put away, nor its errors written": (
            "whatever_a_file_is_called_it_is_read_and_put_away",
        ),
        "Nor could a name that is not UTF-8": ("whatever_a_file_is_called_it_is_read_and_put_away",),
        "A link in the inbox was followed": ("a_link_is_not_followed",),
        "A formula without a value was taken for an empty cell": ("a_formula_that_nobody_worked_out_comes_back",),
        "The reason that came back was a trace of 77 lines": (
            "what_comes_back_is_no_longer_than_somebody_may_read",
            "cells_of_every_kind",
        ),
        "A letter that its parser stumbled over would have stopped the night": (
            "a_letter_of_any_bytes_is_taken_or_left_and_its_sender_is_told_in_words",
        ),
    },
    "Answers that were not of their row": {
        "A customer's id, edited, gave a promise to somebody else": (
            "an_answer_counts_for_the_row_it_was_written_into_and_for_no_other",
        ),
        "So did an item's id": ("an_answer_counts_for_the_row_it_was_written_into_and_for_no_other",),
        "Another company's workbook was read": (
            "answers_that_belong_to_nobody_come_back",
            "a_seal_is_the_same_every_time_and_another_one_for_whatever_may_not_be_changed",
        ),
        "999,999,999.00 was promised and believed": ("a_promise_or_a_dispute_of_more_than_is_owed_comes_back_with_the_figure",),
        "More was disputed of a document than was open": (
            "a_promise_or_a_dispute_of_more_than_is_owed_comes_back_with_the_figure",
        ),
    },
    "What is landed": {
        "Rows deleted from a load: a morning with twelve customers instead of thirteen, and not a word": (
            "what_is_damaged_is_named_with_the_way_out_and_nothing_lands_on_it",
            "no_morning_is_prepared_from_damaged_loads",
        ),
        "A file of rows cut short": ("what_is_damaged_is_named_with_the_way_out_and_nothing_lands_on_it",),
        "Rows altered": (
            "rows_that_were_altered_are_noticed_in_a_home_from_before_too",
            "what_is_damaged_is_named_with_the_way_out_and_nothing_lands_on_it",
        ),
        "A manifest edited": (
            "what_is_damaged_is_named_with_the_way_out_and_nothing_lands_on_it",
            "a_description_of_any_bytes_is_what_was_written_or_is_refused_in_words",
        ),
        "The folder of a load gone": ("what_is_damaged_is_named_with_the_way_out_and_nothing_lands_on_it",),
        "The folder of the last load gone": ("the_last_link_is_noticed_when_it_is_gone_or_altered",),
        "All of a dataset gone": ("a_whole_dataset_that_is_gone_is_noticed",),
        "A byte that rots where no time tells": (
            "a_byte_that_rots_where_no_time_tells_is_found_by_the_whole_check_and_within_a_week",
        ),
        "What only this home has (steps issued, answers read) lost, and reminders repeated": (
            "what_nobody_else_has_can_only_be_restored_or_done_without",
        ),
        "A correction landed under a clock that had gone back lost to the older row": (
            "the_later_load_wins_when_the_clock_went_back_and_both_times_are_said",
        ),
        "A clock far ahead, once, kept every later night from asking": (
            "a_clock_far_ahead_once_is_said_once_and_forgotten",
            "a_time_that_has_not_come_neither_carries_the_cursor_off_nor_looks_fresh",
        ),
    },
    "Nobody was told": {
        "The disk was full: no alert, no note": ("a_full_disk_is_told_before_anything_that_needs_it",),
        "worklists/ could not be written": ("a_home_that_cannot_be_written_is_told",),
        "The home was mounted read-only": ("a_read_only_home_is_told_with_what_to_do",),
        "Dagster's history was broken": (
            "a_broken_history_is_set_aside_and_begun_anew",
            "a_history_that_is_cut_in_the_middle_is_found",
        ),
        "Dagster's history was locked": ("a_locked_history_is_no_broken_one_and_is_told",),
        "Settings described no run, and the schedule was silent": (
            "settings_that_describe_no_run_are_told_to_whoever_can_be_reached",
        ),
        "The service could not start": ("a_service_that_cannot_start_or_ends_by_itself_is_told",),
        "Several alerts came of one night": (
            "a_night_whose_process_is_gone_is_ended_and_told_once",
            "a_run_that_found_another_at_work_is_not_told_as_a_night_without_a_list",
        ),
        "Silence alarmed nobody: there was no heartbeat": (
            "every_morning_of_a_bad_week_has_a_right_list_or_a_note_and_an_alert",
            "the_end_of_a_night_that_was_to_deliver_is_told_however_it_was_started",
        ),
        "A webhook that hangs held the night": (
            "whoever_hears_an_alert_may_talk_without_end",
            "a_receiver_that_drips_its_answer_is_left",
        ),
        "A webhook whose address is none hid the failure it was to tell of": (
            "a_webhook_out_of_reach_is_logged_and_never_raised",
        ),
        "Marts or loads broken on the disk kept the alert from going out": (
            "the_alert_goes_out_whatever_is_broken_under_the_home",
        ),
        "«Nothing was published» was said when the marts were out": ("marts_that_are_out_without_their_list_are_told_as_that",),
        "A command that failed showed a trace": ("whatever_ends_a_command_is_told_in_a_line_with_where_the_trace_is",),
    },
    "Servers": {
        "An answer that drips byte by byte was waited for without end": (
            "headers_that_drip_byte_by_byte_end_with_the_time_an_answer_may_take",
            "a_body_that_drips_ends_too",
        ),
        "A dataset had all the time in the world": ("a_dataset_has_only_so_much_time",),
        "An answer of gigabytes was taken whole": ("an_answer_that_is_too_large_is_left_whatever_it_was_packed_into",),
        "So was one that unpacks to them": ("an_answer_packed_twice_is_as_large_as_what_comes_out",),
        "Pages without end were all asked for": ("pages_without_end_end",),
        "JSON nested deeply ended the process": ("what_will_not_be_another_answer_next_time_is_not_asked_for_again",),
        "JSON of nothing but values filled the memory": ("an_answer_made_of_nothing_but_values_is_refused_before_it_is_parsed",),
        "A page that a login put before the API was tried five times": (
            "what_will_not_be_another_answer_next_time_is_not_asked_for_again",
        ),
        "So was a certificate that nobody vouches for": (
            "a_certificate_nobody_vouches_for_is_said_as_that_and_not_tried_again",
            "https_where_none_is_spoken_is_said_as_that",
        ),
        "So were bytes that are no UTF-8": ("what_will_not_be_another_answer_next_time_is_not_asked_for_again",),
        "Headers that are none ended in an exception's name": ("what_is_no_http_is_said_as_that",),
        "The address of a next page could lead anywhere": ("a_next_address_that_is_none_is_not_asked_for",),
        "What a server echoed stood in the reason, our token with it": (
            "a_refusal_is_short_and_shows_neither_our_token_nor_control_characters",
        ),
        "A record of another shape than a vendor's ended in an exception's name": (
            "an_answer_of_a_vendor_of_any_shape_is_read_or_refused_in_words",
            "an_answer_of_tryton_of_any_shape_is_read_or_refused_in_words",
            "a_record_of_another_shape_is_named_with_what_is_wrong",
        ),
    },
    "Files": {
        "A header of megabytes was read": ("csv_files_made_to_take_all_memory_are_refused_within_bounds",),
        "So was a field": ("a_csv_made_to_take_all_memory_is_refused_within_the_same_bounds_whatever_its_size",),
        "Of a column that is there twice one was taken": ("a_csv_that_cannot_be_read_is_named_with_its_line_and_the_reason",),
        "A stray quote swallowed records": (
            "a_csv_that_cannot_be_read_is_named_with_its_line_and_the_reason",
            "a_fault_far_below_what_is_read_ahead_is_named_with_its_line",
        ),
        "A Parquet file cut off ended in an exception's name": (
            "a_parquet_file_cut_off_is_refused_in_words",
            "a_damaged_parquet_file_is_read_or_refused_in_words",
        ),
        "A policy file that is none was a trace": ("a_policy_file_that_is_none_is_named_with_what_is_wrong",),
        "A file of variables that is no text was not named": (
            "a_file_of_variables_that_is_no_text_is_named",
            "variables_of_any_value_describe_a_run_or_are_refused_in_words",
        ),
    },
    "Secrets and people": {
        "The password of an address stood in manifests and the published marts": (
            "no_password_is_in_where_it_came_from_or_in_what_is_said",
            "no_byte_of_a_home_holds_a_secret_after_a_good_night_and_after_bad_ones",
        ),
        "A token stood in a log": (
            "a_load_and_its_quarantine_say_where_it_came_from_without_the_token",
            "a_server_that_echoes_what_it_was_told_gives_nothing_away",
        ),
        "The webhook's address stood in a reason": ("an_alert_that_cannot_be_sent_does_not_say_where_to",),
        "Escape characters of a customer's name reached the terminal": (
            "what_came_with_the_data_does_nothing_to_a_terminal",
            "a_night_shows_what_people_are_called_and_nothing_that_moves_a_terminal",
        ),
        "Secrets could be given in variables alone": (
            "a_secret_may_stand_in_a_file",
            "a_file_of_a_secret_of_any_bytes_is_read_or_refused_in_words",
        ),
        "The home was readable by everybody": (
            "nobody_but_user_and_group_reads_and_nobody_but_the_user_writes_outside_the_inbox",
        ),
        "So was Dagster's, and what another umask had left": ("what_an_earlier_version_left_open_is_closed",),
        "Whoever was to read the marts had to read all of it": ("another_group_may_read_what_is_published_and_nothing_else",),
        "Nobody could be forgotten": (
            "nothing_of_them_is_left_and_everybody_else_is",
            "a_morning_replayed_after_somebody_was_forgotten_ties_and_knows_no_name",
        ),
        "Manifests kept what was refused, whoever it was of": ("manifests_that_showed_what_was_refused_show_it_no_more",),
        "Nobody knew what is installed, or what is known against it": (
            "every_locked_package_is_on_the_bill_and_under_a_licence_that_may_be_passed_on",
            "what_is_known_against_a_package_is_named_and_nobody_to_ask_is_no_failure",
        ),
    },
    "At once": {
        "Two mornings at once": ("two_mornings_side_by_side_are_both_right_or_told_and_no_step_goes_out_twice",),
        "The same morning twice": ("the_same_morning_twice_at_once_is_one_morning_and_one_that_says_who_is_at_it",),
        "A command beside a night of the service": (
            "a_command_beside_a_night_of_the_service_stops_for_its_morning_and_runs_for_another",
        ),
        "What nights leave grew without end": ("three_hundred_nights_leave_no_more_than_policy_keeps",),
    },
}
"""Findings by what they are of; tests by their names, without `test_`."""
