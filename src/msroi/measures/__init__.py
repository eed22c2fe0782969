"""How far two images are apart, and how good a saliency map is."""
