"""The inference room: exported networks as streams, in their own process, fed and read over shared memory."""
