"""The Space: a Gradio page, one file per tab. `build` puts the tabs together, `app.py` serves them."""
