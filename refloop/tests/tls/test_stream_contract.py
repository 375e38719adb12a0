"""What every stream transport keeps, TLS keeps as well: the very same tests."""

from __future__ import annotations

import pytest

from refloop.tests.io.test_transports import (  # noqa: F401 - collected here with this folder's connections
    test_a_buffer_of_wide_items_is_filled_byte_by_byte,
    test_a_buffer_that_cannot_take_data_is_an_error,
    test_a_buffered_protocol_gets_everything_into_its_own_buffers,
    test_a_protocol_can_pause_reading_from_each_callback,
    test_a_protocol_that_fails_loses_its_connection_and_is_reported,
    test_a_protocol_that_stops_reading_while_it_is_asked_for_a_buffer_gets_no_more,
    test_a_view_is_written_byte_by_byte_whatever_its_items_are,
    test_callbacks_run_in_the_context_of_whoever_connected,
    test_failing_flow_control_callbacks_cost_no_connection,
    test_new_limits_for_an_ended_transport_call_nobody,
    test_nobody_is_resumed_with_more_than_the_low_mark_buffered,
    test_only_bytes_can_be_written,
    test_tcp_sends_without_delay,
    test_the_peer_is_known_when_the_connection_is_lost,
    test_the_sockets_of_a_transport_cannot_be_made_to_block,
    test_what_is_written_after_close_reaches_nobody,
    test_what_was_written_does_not_change_when_its_owner_changes_the_buffer,
)

# test: what asyncio does instead under TLS, where it breaks or leaves open what is checked
ASYNCIO_DIFFERS = {
    "test_a_buffered_protocol_gets_everything_into_its_own_buffers": "loses what comes right before the end",
    "test_a_buffer_that_cannot_take_data_is_an_error": "takes a buffer without room for the end of the connection",
    "test_a_protocol_can_pause_reading_from_each_callback": "does not finish the handshake if connection_made() pauses",
    "test_a_protocol_that_fails_loses_its_connection_and_is_reported": "reports the transport beneath",
    "test_failing_flow_control_callbacks_cost_no_connection": "has other buffers, each with its own marks",
    "test_new_limits_for_an_ended_transport_call_nobody": "calls the protocol that has been told of the end",
    "test_the_peer_is_known_when_the_connection_is_lost": "has forgotten it",
}


@pytest.fixture(autouse=True)
def _where_asyncio_differs(request: pytest.FixtureRequest, maker: str) -> None:
    name = request.node.originalname
    if maker == "asyncio" and name in ASYNCIO_DIFFERS:
        pytest.skip(ASYNCIO_DIFFERS[name])
    if name == "test_a_protocol_can_pause_reading_from_each_callback" and "start-tls" in request.node.callspec.id:
        pytest.skip("the transport that connection_made() pauses is not the one that TLS resumes")
