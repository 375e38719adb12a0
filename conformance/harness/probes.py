FEATURES_OF_AREAS: dict[str, str] = {}
