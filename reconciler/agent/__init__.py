"""The agent: any wake-up means the whole flow, on the newest commit that may be applied."""
