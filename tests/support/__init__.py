"""What tests share: servers, sounds, tiny models and data folders."""
