"""How Kima and SongNodes name their metrics, and where the same is found here; names of ours lack `lockgroove_`."""

ELSEWHERE = {
    "download_jobs_total download_job_duration_seconds": "download_jobs_total download_job_duration_seconds",
    "active_downloads": "active_downloads soulseek_downloads_running slskd_downloads_running",
    "webhook_events_total": "webhook_events_total",
    "webhook_processing_duration_seconds": "webhook_processing_duration_seconds",
    "soulseek_connection_status": "soulseek_connection_status soulseek_logins_total soulseek_session_ends_total",
    "soulseek_searches_total": "soulseek_searches_total",
    "soulseek_search_duration_seconds": "soulseek_search_duration_seconds",
    "soulseek_downloads_total soulseek_download_duration_seconds": (
        "soulseek_downloads_total soulseek_download_duration_seconds soulseek_downloaded_bytes_total"
    ),
    "lidarr_api_calls_total lidarr_api_duration_seconds": "lidarr_api_calls_total lidarr_api_duration_seconds",
    "cache_operations_total": "cache_operations_total",
    "cache_hits_total cache_misses_total": "cache_hits_total cache_misses_total",
    "api_gateway_requests_total": "outbound_calls_total",
    "api_gateway_request_duration_seconds": "outbound_call_duration_seconds",
    "retry_attempts_total": "outbound_retries_total",
    "retry_success_total retry_failures_total": "outbound_retried_questions_total",
    "circuit_breaker_state": "outbound_circuit component_up",
    "circuit_breaker_opens_total": "outbound_circuit_changes_total",
    "circuit_breaker_failures_total": "outbound_calls_total",
    "rate_limit_requests_total": "outbound_turns_total rate_limited_total",
    "rate_limit_wait_seconds": "outbound_turn_wait_seconds outbound_wait_seconds_total",
    "dlq_messages_total dlq_messages_by_error_type": "webhook_dead_letters",
    "dlq_message_age_seconds": "webhook_dead_letter_age_seconds",
    "dlq_replay_total": "webhook_dead_letters_decided_total webhook_replay_events_total webhook_replays_ended_total",
    "enrichment_configuration_reload_total": "settings_reloads_total settings_revision",
}

NOT_HERE = {
    "rate_limit_tokens": "turns at providers have a fixed distance, and no bucket",
    "rate_limit_token_bucket_fill_ratio": "likewise: waits and refused turns tell",
    "rate_limit_exhaustion_predicted_seconds": "a turn is given or refused at once: nothing runs out",
    "cache_operation_seconds": "the cache is a table: `lockgroove_sql_statement_duration_seconds`",
    "bronze_records_total silver_records_total gold_records_total": "there is no enrichment in this release",
    "bronze_to_silver_lag_seconds silver_to_gold_lag_seconds": "there is no enrichment in this release",
    "data_quality_score enrichment_completeness": "there is no enrichment in this release",
    "enrichment_provider_field_usage_total": "there is no enrichment in this release",
    "provider_wins_total fallback_count_total fields_enriched_per_run": "there is no enrichment in this release",
}
