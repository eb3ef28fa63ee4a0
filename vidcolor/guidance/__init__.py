"""What a person says about color: tracks and their identities, hints, references, the script."""
