"""Cases of classic control as JSON gives them: models, their fields, their answers, their page."""
